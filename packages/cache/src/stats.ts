import type { Parts } from './parts.js'

/** A snapshot. Counts are since the cache was made. */
export interface CacheStats {
  readonly name: string
  readonly l1: {
    readonly hits: number
    /** Hits of all look-ups, 0 to 1. */
    readonly hitRatio: number
    readonly entries: number
    /** An estimate. */
    readonly bytes: number
  }
  readonly l2:
    | {
        readonly hits: number
        /** Hits of the look-ups that the first tier did not answer, 0 to 1. */
        readonly hitRatio: number
        readonly ready: boolean
        readonly breakerOpen: boolean
        readonly pending: number
        readonly timeouts: number
        readonly queuedInvalidations: number
        /** Whether other nodes' changes are heard; `undefined` when the store has no bus. */
        readonly busHealthy: boolean | undefined
      }
    | undefined
  readonly misses: number
  /** Answers that were expired. */
  readonly stale: number
  readonly loads: number
  readonly loadErrors: number
  /** Callers who shared the load of another. */
  readonly joins: number
  readonly leaseWaits: number
  readonly invalidations: number
  /** Searches and loads under way. */
  readonly inFlight: number
}

export function statsOf({ options, counters, first, second, bus }: Parts, inFlight: number): CacheStats {
  const { l1Hits, l2Hits, ...rest } = counters
  const beyond = l2Hits + counters.misses + counters.joins
  return {
    name: options.name,
    l1: { hits: l1Hits, hitRatio: ratio(l1Hits, l1Hits + beyond), ...first.stats() },
    l2: second && {
      hits: l2Hits,
      hitRatio: ratio(l2Hits, beyond),
      ...second.guard.stats(),
      busHealthy: second.guard.tier.listen ? bus.healthy : undefined,
    },
    ...rest,
    inFlight,
  }
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
