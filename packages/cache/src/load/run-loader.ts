import { AsyncLocalStorage } from 'node:async_hooks'
import { callerOf, MAX_TIMER } from '@spillway/kit'
import { channels } from '../channels.js'
import { copyOf, type Leniency } from '../entry/entry.js'
import { LoadTimeoutError, ReentrantLoadError } from '../errors.js'
import { resolveTags, resolveTtl, resolveWindows } from '../options.js'
import type { InFlightLoad } from './in-flight-load.js'
import type { LoadContext } from './loader.js'

/** What a loader brought and decided. */
export interface Loaded {
  readonly value: unknown
  readonly ttl: number
  readonly leniency: Leniency
  readonly tags: readonly string[]
  readonly skipped: boolean
  readonly milliseconds: number
}

const LISTENED = [channels.load]

/**
 * Runs the loader of a load, until its load timeout or until the load is aborted. What the loader does later is
 * ignored, and cannot become an unhandled rejection.
 */
export function runLoader(load: InFlightLoad, cache: string): Promise<Loaded> {
  const { call, abort } = load
  const started = performance.now()
  const caller = callerOf(LISTENED)
  let ttl = call.ttl
  let leniency: Leniency = call
  let tags = call.tags
  let skipped = false
  const context: LoadContext = {
    get signal() {
      return abort.signal
    },
    // A copy: a loader might change it.
    stale: load.stale && (call.share === 'reference' ? load.stale.value : copyOf(load.stale)),
    background: load.isBackground,
    setTtl(given) {
      ttl = resolveTtl(given)
    },
    setStale(given) {
      leniency = { ...leniency, ...resolveWindows(given) }
    },
    setTags(given) {
      tags = resolveTags(given)
    },
    skip() {
      skipped = true
    },
  }
  return new Promise<Loaded>((resolve, reject) => {
    const { loadTimeout } = call
    const timer =
      loadTimeout === false
        ? undefined
        : setTimeout(() => abort.abort(new LoadTimeoutError(loadTimeout)), Math.min(loadTimeout, MAX_TIMER))
    const deafen = abort.listen((reason) => end(false, () => reject(reason)))
    const end = (ok: boolean, settle: () => void) => {
      leaveLoader()
      clearTimeout(timer)
      deafen()
      const milliseconds = performance.now() - started
      channels.load.publish(() => ({ cache, milliseconds, ok, background: load.isBackground }), caller)
      settle()
    }
    enterLoader(load, () => load.loader(context)).then(
      (value) => {
        if (abort.done) return
        end(true, () =>
          resolve({ value, ttl, leniency, tags, skipped, milliseconds: performance.now() - started }),
        )
      },
      (error) => {
        if (!abort.done) end(false, () => reject(error))
      },
    )
  })
}

const current = new AsyncLocalStorage<InFlightLoad>()
let running = 0

/**
 * Runs a loader so that loads begun inside it know their parent. Async context costs every promise of the process
 * a little on Node 20 and 22, so it is switched off while no loader runs: call {@link leaveLoader} at the load's end.
 */
function enterLoader<T>(load: InFlightLoad, work: () => T | Promise<T>): Promise<T> {
  running++
  return current.run(load, async () => work())
}

function leaveLoader(): void {
  if (--running === 0) current.disable()
}

/** The load whose loader is asking. */
export function asking(): InFlightLoad | undefined {
  return running === 0 ? undefined : current.getStore()
}

/** @throws ReentrantLoadError when the asker would wait for itself */
export function refuseCycle(
  asker: InFlightLoad | undefined,
  owner: object,
  key: string,
  joined?: InFlightLoad,
): void {
  if (asker === undefined || asker.isFinished) return
  const chain = [key]
  for (let load: InFlightLoad | undefined = asker; load !== undefined; load = load.parent) {
    chain.unshift(load.key)
    if (load.owner === owner && load.key === key) throw new ReentrantLoadError(chain)
  }
  const circle = joined && path(joined, asker, new Set())
  if (circle !== undefined) throw new ReentrantLoadError([asker.key, ...circle])
}

/** The keys on the way from one load to another that it waits for. */
function path(from: InFlightLoad, to: InFlightLoad, seen: Set<InFlightLoad>): string[] | undefined {
  if (from === to) return [to.key]
  seen.add(from)
  for (const next of from.waitsFor) {
    const rest = seen.has(next) ? undefined : path(next, to, seen)
    if (rest !== undefined) return [from.key, ...rest]
  }
  return undefined
}
