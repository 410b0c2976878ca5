import { levelAt, timeToFit, timeToFull } from './bucket.js'
import type { Limit } from './limit.js'

/** Who decided: a store, a lease, the cache of denials, or the policy for a store that failed. */
export type Source = 'memory' | 'cluster' | 'redis' | 'lease' | 'cache' | 'fallback'

/**
 * The answer to "may this key spend that much now?". Times are milliseconds; nothing is ever negative. Made a million
 * times a second, so a part of it is worked out when it is read: use `toJSON()` for a copy.
 */
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
  /** A plain copy of all the above. */
  toJSON(): object
}

/**
 * An admission, and the base of all other decisions. Small, with late sums and what is always the same on the
 * prototype: this is made for each request, and most of it is never read.
 */
class Admission implements Decision {
  declare readonly allowed: boolean
  declare readonly retryAfter: number
  declare readonly impossible: boolean
  declare readonly unavailable: boolean
  declare readonly shadowed: boolean
  declare readonly parts: readonly Decision[] | undefined

  constructor(
    readonly limit: Limit,
    readonly key: string,
    readonly cost: number,
    /** Tokens in use. */
    readonly level: number,
    readonly source: Source,
  ) {}

  get capacity(): number {
    return this.limit.capacity
  }

  get remaining(): number {
    const left = this.limit.capacity - this.level
    return left > 0 ? Math.floor(left) : 0
  }

  get resetAfter(): number {
    return timeToFull(this.level, this.limit) / 1_000
  }

  toJSON(): object {
    const { allowed, remaining, capacity, retryAfter, resetAfter, impossible, unavailable, shadowed } = this
    const { source, key, cost, limit } = this
    const parts = this.parts?.map((part) => part.toJSON())
    return {
      ...{ allowed, remaining, capacity, retryAfter, resetAfter, impossible, unavailable, shadowed },
      ...{ source, key, cost, limit, parts },
    }
  }

  [Symbol.for('nodejs.util.inspect.custom')](): object {
    return this.toJSON()
  }
}

Object.assign(Admission.prototype, {
  allowed: true,
  retryAfter: 0,
  impossible: false,
  unavailable: false,
  shadowed: false,
  parts: undefined,
})

/** Everything else. */
class Answered extends Admission {
  override readonly allowed: boolean
  override readonly retryAfter: number
  override readonly impossible: boolean
  override readonly unavailable: boolean
  override readonly shadowed: boolean
  override readonly parts: readonly Decision[] | undefined

  constructor(
    limit: Limit,
    key: string,
    cost: number,
    level: number,
    source: Source,
    more: Partial<Pick<Decision, 'allowed' | 'retryAfter' | 'unavailable' | 'shadowed' | 'parts'>>,
  ) {
    super(limit, key, cost, level, source)
    this.allowed = more.allowed ?? true
    this.retryAfter = more.retryAfter ?? 0
    this.impossible = !this.allowed && cost > limit.capacity
    this.unavailable = more.unavailable ?? false
    this.shadowed = more.shadowed ?? false
    this.parts = more.parts
  }
}

/** An admission that left the bucket at `level`. */
export function admitted(limit: Limit, key: string, cost: number, level: number, source: Source): Decision {
  return new Admission(limit, key, cost, level, source)
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
  const level = levelAt(used, elapsed, limit)
  return new Answered(limit, key, cost, level, source, { allowed: wait === 0, retryAfter: wait / 1_000 })
}

/** Nobody knows how the bucket stands. */
export function unknown(limit: Limit, key: string, cost: number, retryAfter: number): Decision {
  const more = { allowed: false, retryAfter, unavailable: true }
  return new Answered(limit, key, cost, limit.capacity, 'fallback', more)
}

/** A denial that no bucket has to do with. */
export function denied(limit: Limit, key: string, retryAfter: number): Decision {
  return new Answered(limit, key, 1, limit.capacity, 'memory', { allowed: false, retryAfter })
}

/** A denial that is let through all the same. */
export function shadowed(decision: Decision): Decision {
  const { limit, key, cost, capacity, remaining, retryAfter, source, unavailable, parts } = decision
  const more = { retryAfter, unavailable, shadowed: true, parts }
  return new Answered(limit, key, cost, capacity - remaining, source, more)
}

/** One decision over several limits: allowed when all allow; else the one to wait longest for speaks. */
export function combined(parts: readonly Decision[]): Decision {
  const binding = parts.reduce((tightest, part) => (isTighter(part, tightest) ? part : tightest))
  const { limit, key, cost, source, allowed, retryAfter, unavailable } = binding
  const level = (binding as Admission).level
  return new Answered(limit, key, cost, level, source, { allowed, retryAfter, unavailable, parts })
}

function isTighter(a: Decision, b: Decision): boolean {
  if (a.retryAfter !== b.retryAfter) return a.retryAfter > b.retryAfter
  if (a.allowed !== b.allowed) return !a.allowed
  return a.remaining * b.capacity < b.remaining * a.capacity
}
