import { levelAt, timeToFit, timeToFull } from './bucket.js'
import type { Limit } from './limit.js'

/** Who decided: a store, a lease, the cache of denials, or the policy for a store that failed. */
export type Source = 'memory' | 'cluster' | 'redis' | 'lease' | 'cache' | 'fallback'

/** The answer to "may this key spend that much now?". Times are milliseconds; nothing is ever negative. */
export interface Decision {
  readonly allowed: boolean
  /** Whole tokens left after this decision. */
  readonly remaining: number
  /** Tokens of a full bucket. */
  readonly capacity: number
  /** 0 when allowed; else the time after which the same call succeeds, if nobody else takes the tokens. */
  readonly retryAfter: number
  /** Time until the bucket is full, if nobody takes tokens. */
  readonly resetAfter: number
  /** The cost is more than a full bucket holds: waiting does not help, and `retryAfter` is Infinity. */
  readonly impossible: boolean
  /** The store failed and the policy is `deny`: nobody knows whether the key is over its limit. */
  readonly unavailable: boolean
  /** A limiter in shadow mode let this through, although the limit says no. */
  readonly shadowed: boolean
  readonly source: Source
  readonly key: string
  readonly cost: number
  /** The limit that decided; of several, the tightest. */
  readonly limit: Limit
  /** With several limits, the standing of each. */
  readonly parts: readonly Decision[] | undefined
}

/** An admission that left the bucket at `level`. */
export function admitted(limit: Limit, key: string, cost: number, level: number, source: Source): Decision {
  const left = limit.capacity - level
  return {
    allowed: true,
    remaining: left > 0 ? Math.floor(left) : 0,
    capacity: limit.capacity,
    retryAfter: 0,
    resetAfter: timeToFull(level, limit) / 1_000,
    impossible: false,
    unavailable: false,
    shadowed: false,
    source,
    key,
    cost,
    limit,
    parts: undefined,
  }
}

/** How a bucket stands towards a cost that was not charged: fits or not, and when it will. */
export function standing(
  limit: Limit,
  key: string,
  cost: number,
  used: number,
  elapsed: number,
  source: Source,
): Decision {
  const wait = timeToFit(used, elapsed, cost, limit)
  return {
    ...admitted(limit, key, cost, levelAt(used, elapsed, limit), source),
    allowed: wait === 0,
    retryAfter: wait / 1_000,
    impossible: cost > limit.capacity,
  }
}

/** One decision over several limits: allowed when all allow; else the one to wait longest for speaks. */
export function combined(parts: readonly Decision[]): Decision {
  const binding = parts.reduce((tightest, part) => (isTighter(part, tightest) ? part : tightest))
  return { ...binding, parts }
}

function isTighter(a: Decision, b: Decision): boolean {
  if (a.retryAfter !== b.retryAfter) return a.retryAfter > b.retryAfter
  if (a.allowed !== b.allowed) return !a.allowed
  return a.remaining * b.capacity < b.remaining * a.capacity
}
