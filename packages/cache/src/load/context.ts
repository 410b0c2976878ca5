import { AsyncLocalStorage } from 'node:async_hooks'
import type { Duration } from '@spillway/kit'
import { ReentrantLoadError } from '../errors.js'
import type { Flight } from './in-flight-load.js'

/** What a loader is told, and what it may decide. */
export interface LoadContext {
  /** Aborts at the load timeout, when the last caller has gone, and when the cache is closed by force. */
  readonly signal: AbortSignal
  /** The value that is being replaced, for a conditional refresh: return it to keep it. */
  readonly stale: unknown
  /** Nobody waits: the value that is being replaced has been served. */
  readonly background: boolean
  /** Replaces the `ttl` of the call. */
  setTtl(ttl: Duration): void
  /** Replaces `swr` and `staleIfError` of the call, for this entry. A later caller cannot ask for more than these. */
  setStale(windows: { readonly swr?: Duration | false; readonly staleIfError?: Duration | false }): void
  /** Replaces the `tags` of the call. */
  setTags(tags: readonly string[]): void
  /** The value goes to the callers, and is not stored. */
  skip(): void
}

export type Loader<T> = (context: LoadContext) => T | Promise<T>

const current = new AsyncLocalStorage<Flight>()
let running = 0

/**
 * Runs a loader so that flights begun inside it know whose they are. Async context costs every promise of the process
 * a little on Node 20 and 22, so it is switched off while no loader runs: call {@link leaveLoader} at the load's end.
 */
export function enterLoader<T>(flight: Flight, work: () => T | Promise<T>): Promise<T> {
  running++
  return current.run(flight, async () => work())
}

export function leaveLoader(): void {
  if (--running === 0) current.disable()
}

/** The flight whose loader is asking. */
export function asking(): Flight | undefined {
  return running === 0 ? undefined : current.getStore()
}

/** @throws ReentrantLoadError when the asker would wait for itself */
export function refuseCycle(asker: Flight | undefined, owner: object, key: string, joined?: Flight): void {
  if (asker === undefined || asker.over) return
  const chain = [key]
  for (let flight: Flight | undefined = asker; flight !== undefined; flight = flight.parent) {
    chain.unshift(flight.key)
    if (flight.owner === owner && flight.key === key) throw new ReentrantLoadError(chain)
  }
  const circle = joined && path(joined, asker, new Set())
  if (circle !== undefined) throw new ReentrantLoadError([asker.key, ...circle])
}

/** The keys on the way from one flight to another that it waits for. */
function path(from: Flight, to: Flight, seen: Set<Flight>): string[] | undefined {
  if (from === to) return [to.key]
  seen.add(from)
  for (const next of from.waitsFor) {
    const rest = seen.has(next) ? undefined : path(next, to, seen)
    if (rest !== undefined) return [from.key, ...rest]
  }
  return undefined
}
