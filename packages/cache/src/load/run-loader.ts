import { callerOf, MAX_TIMER } from '@spillway/kit'
import { channels } from '../channels.js'
import type { Leniency } from '../entry/freshness.js'
import { copyOf } from '../entry/l1-entry.js'
import { LoadTimeoutError } from '../errors.js'
import { resolveTags, resolveTtl, resolveWindows } from '../options.js'
import { enterLoader, type LoadContext, leaveLoader } from './context.js'
import type { Flight } from './in-flight-load.js'

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
 * Runs the loader of a flight, within its load timeout, until the flight's signal aborts. What it does later is
 * nobody's business any more, and cannot become an unhandled rejection.
 */
export function runLoader(flight: Flight, cache: string): Promise<Loaded> {
  const { call, aborting } = flight
  const started = performance.now()
  const caller = callerOf(LISTENED)
  let ttl = call.ttl
  let leniency: Leniency = call
  let tags = call.tags
  let skipped = false
  const context: LoadContext = {
    get signal() {
      return aborting.signal
    },
    // A copy: the entry itself must not reach somebody who may change it.
    stale: flight.stale && (call.share === 'reference' ? flight.stale.value : copyOf(flight.stale)),
    background: flight.background,
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
        : setTimeout(
            () => aborting.abort(new LoadTimeoutError(loadTimeout)),
            Math.min(loadTimeout, MAX_TIMER),
          )
    const deafen = aborting.listen((reason) => end(false, () => reject(reason)))
    const end = (ok: boolean, settle: () => void) => {
      leaveLoader()
      clearTimeout(timer)
      deafen()
      const milliseconds = performance.now() - started
      channels.load.publish(() => ({ cache, milliseconds, ok, background: flight.background }), caller)
      settle()
    }
    enterLoader(flight, () => flight.loader(context)).then(
      (value) => {
        if (aborting.done) return
        end(true, () =>
          resolve({ value, ttl, leniency, tags, skipped, milliseconds: performance.now() - started }),
        )
      },
      (error) => {
        if (!aborting.done) end(false, () => reject(error))
      },
    )
  })
}
