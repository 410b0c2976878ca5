import type { CacheContext } from './tiers/cache-context.js'
import type { GuardedTier } from './tiers/guarded-tier.js'

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
        /** All of its servers are connected. */
        readonly ready: boolean
        /** Of one of its servers at least. */
        readonly breakerOpen: boolean
        /** Servers that are not used at the moment; calls for their keys go on without a second tier. */
        readonly serversAway: number
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

export function statsOf({ options, counters, l1, l2, bus }: CacheContext, inFlight: number): CacheStats {
  const { l1Hits, l2Hits, ...rest } = counters
  const beyond = l2Hits + counters.misses + counters.joins
  return {
    name: options.name,
    l1: { hits: l1Hits, hitRatio: ratio(l1Hits, l1Hits + beyond), ...l1.stats() },
    l2: l2 && {
      hits: l2Hits,
      hitRatio: ratio(l2Hits, beyond),
      ...together(l2.guards.map((guard) => guard.stats())),
      busHealthy: l2.hasBus ? bus.healthy : undefined,
    },
    ...rest,
    inFlight,
  }
}

function together(servers: readonly ReturnType<GuardedTier['stats']>[]) {
  const sum = (count: (server: (typeof servers)[0]) => number) =>
    servers.reduce((total, server) => total + count(server), 0)
  return {
    ready: servers.every(({ ready }) => ready),
    breakerOpen: servers.some(({ breakerOpen }) => breakerOpen),
    serversAway: sum(({ usable }) => (usable ? 0 : 1)),
    pending: sum(({ pending }) => pending),
    timeouts: sum(({ timeouts }) => timeouts),
    queuedInvalidations: sum(({ queuedInvalidations }) => queuedInvalidations),
  }
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
