import { levelAt, timeToFit, timeToFull } from './bucket.js'
import { keepShape } from './keep-shape.js'
import type { Limit } from './limit.js'

/** Where the decision was made: in a store, a lease, the deny cache, or by the policy for a store that failed. */
export type Source = 'memory' | 'cluster' | 'redis' | 'lease' | 'cache' | 'fallback'

/**
 * The decision about one call. Times are milliseconds; no number is negative. Some members are computed when they are
 * read, since a decision is made for each call: use `toJSON()` for a copy.
 */
export interface Decision {
  readonly allowed: boolean
  /** Whole tokens left after this decision. */
  readonly remaining: number
  /** Tokens of a full bucket. */
  readonly capacity: number
  /** 0 when allowed; else the time after which the same call succeeds, if no other call takes the tokens. */
  readonly retryAfter: number
  /** Time until the bucket is full, if no call takes tokens. */
  readonly resetAfter: number
  /** The cost is more than a full bucket holds: waiting does not help, and `retryAfter` is Infinity. */
  readonly impossible: boolean
  /** The store failed and the policy is `deny`: whether the key is over its limit is unknown. */
  readonly unavailable: boolean
  /** A limit in shadow mode says no; without it, this would have been a denial. That limit was not charged. */
  readonly shadowed: boolean
  readonly source: Source
  /** As given; of a key of more than 64 characters its digest (`#` and SHA-256), which is what all tables keep. */
  readonly key: string
  readonly cost: number
  /** The limit that decided; of several, the tightest. */
  readonly limit: Limit
  /** With several limits, the standing of each. */
  readonly parts: readonly Decision[] | undefined
  /** A plain copy of all the above. */
  toJSON(): object
}

/** The part of a decision that is the same for most calls of a limiter, so that their decisions share it. */
export class Terms {
  constructor(
    readonly limit: Limit,
    readonly cost: number,
    readonly source: Source,
  ) {}

  /** These terms for another limit or cost; the same ones, if they say so already. */
  with(limit: Limit, cost: number): Terms {
    return limit === this.limit && cost === this.cost ? this : new Terms(limit, cost, this.source)
  }
}

const NO_LIMIT = { name: '', capacity: 0, tokens: 0, micros: 1, shadow: false }
/** Terms of the examples for {@link keepShape}. */
export const EXAMPLE = new Terms(NO_LIMIT, 1, 'memory')

/**
 * An admission, and the base of all other decisions. As small as can be, with late sums and what is always the same on
 * the prototype: this is made for each request, most of it is never read, and at a million a second its bytes are what
 * it costs. Its fields are `declare`d, since a field that is emitted is first set to `undefined`, which keeps the engine
 * from storing numbers as numbers.
 */
class Admission implements Decision {
  declare readonly terms: Terms
  declare readonly key: string
  /** Tokens in use. */
  declare readonly level: number
  declare readonly allowed: boolean
  declare readonly retryAfter: number
  declare readonly impossible: boolean
  declare readonly unavailable: boolean
  declare readonly shadowed: boolean
  declare readonly parts: readonly Decision[] | undefined

  constructor(terms: Terms, key: string, level: number) {
    this.terms = terms
    this.key = key
    this.level = level
  }

  get limit(): Limit {
    return this.terms.limit
  }

  get cost(): number {
    return this.terms.cost
  }

  get source(): Source {
    return this.terms.source
  }

  get capacity(): number {
    return this.terms.limit.capacity
  }

  get remaining(): number {
    const left = this.terms.limit.capacity - this.level
    return left > 0 ? Math.floor(left) : 0
  }

  get resetAfter(): number {
    return timeToFull(this.level, this.terms.limit) / 1_000
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

/** Any decision that is not a plain admission. */
class FullDecision extends Admission {
  declare readonly allowed: boolean
  declare readonly retryAfter: number
  declare readonly impossible: boolean
  declare readonly unavailable: boolean
  declare readonly shadowed: boolean
  declare readonly parts: readonly Decision[] | undefined

  constructor(
    terms: Terms,
    key: string,
    level: number,
    more: Partial<Pick<Decision, 'allowed' | 'retryAfter' | 'unavailable' | 'shadowed' | 'parts'>>,
  ) {
    super(terms, key, level)
    this.allowed = more.allowed ?? true
    this.retryAfter = more.retryAfter ?? 0
    this.unavailable = more.unavailable ?? false
    this.shadowed = more.shadowed ?? false
    this.impossible = (!this.allowed || this.shadowed) && terms.cost > terms.limit.capacity
    this.parts = more.parts
  }
}

keepShape(new Admission(EXAMPLE, '', 0.5))
keepShape(new FullDecision(EXAMPLE, '', 0.5, { allowed: false, retryAfter: 0.5 }))

/** An admission that left the bucket at `level`. */
export function admitted(terms: Terms, key: string, level: number): Decision {
  return new Admission(terms, key, level)
}

/** A decision that charged nothing: whether the cost fits, and else when it will. */
export function standing(terms: Terms, key: string, used: number, elapsed: number): Decision {
  const { limit, cost } = terms
  const wait = timeToFit(used, elapsed, cost, limit)
  const level = levelAt(used, elapsed, limit)
  return new FullDecision(terms, key, level, { allowed: wait === 0, retryAfter: wait / 1_000 })
}

/** A denial while the state of the bucket is unknown. */
export function unknown(terms: Terms, key: string, retryAfter: number): Decision {
  return new FullDecision(terms, key, terms.limit.capacity, { allowed: false, retryAfter, unavailable: true })
}

/** A denial without a bucket. */
export function denied(limit: Limit, key: string, retryAfter: number): Decision {
  return new FullDecision(new Terms(limit, 1, 'memory'), key, limit.capacity, { allowed: false, retryAfter })
}

/** A denial by a limit in shadow mode, which admits. */
export function shadowed(decision: Decision): Decision {
  const { terms, level } = decision as Admission
  const { key, retryAfter, unavailable, parts } = decision
  return new FullDecision(terms, key, level, { retryAfter, unavailable, shadowed: true, parts })
}

/**
 * One decision over several limits: allowed when all limits allow that are not in shadow mode; else it names the limit with
 * the longest wait. It names a limit in shadow mode only when there are no others.
 */
export function combined(given: readonly Decision[]): Decision {
  if (!given.some(({ limit }) => limit.shadow)) return spokenFor(given, given)
  const parts = given.map((part) => (part.limit.shadow && !part.allowed ? shadowed(part) : part))
  const enforced = parts.filter(({ limit }) => !limit.shadow)
  return spokenFor(parts, enforced.length > 0 ? enforced : parts)
}

function spokenFor(parts: readonly Decision[], speakers: readonly Decision[]): Decision {
  const binding = speakers.reduce((tightest, part) => (isTighter(part, tightest) ? part : tightest))
  const { terms, level } = binding as Admission
  const { key, allowed, retryAfter, unavailable } = binding
  const isShadowed = allowed && parts.some((part) => part.shadowed)
  return new FullDecision(terms, key, level, {
    allowed,
    retryAfter,
    unavailable,
    shadowed: isShadowed,
    parts,
  })
}

/** The parts of a decision that were charged; none for a denial. */
export function chargedParts(decision: Decision): readonly Decision[] {
  if (!decision.allowed) return []
  return (decision.parts ?? [decision]).filter((part) => !part.shadowed)
}

function isTighter(a: Decision, b: Decision): boolean {
  if (a.retryAfter !== b.retryAfter) return a.retryAfter > b.retryAfter
  if (a.allowed !== b.allowed) return !a.allowed
  return a.remaining * b.capacity < b.remaining * a.capacity
}
