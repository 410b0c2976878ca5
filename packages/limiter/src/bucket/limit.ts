import {
  type Check,
  type Duration,
  defineOptions,
  duration,
  integer,
  misuse,
  nested,
  number,
  optional,
  string,
} from '@spillway/kit'

/** How a bucket fills up again: `tokens` tokens, spread evenly over each `per`. */
export interface Refill {
  /** Tokens added in each period, from 0 (never refills) to 1e12. */
  readonly tokens: number
  /** The period, from 1 ms to 10 years. */
  readonly per: Duration
}

/** A limit as a token bucket. */
export interface BucketLimitOptions {
  /**
   * Names the limit in keys of the shared stores, in headers and in decisions: letters, digits, `.`, `_`, `:`, `-`.
   * Limiters of one name in one store share their buckets. Default: made of the numbers, such as `100-in-15m`, with
   * buckets that are shared with no other limiter.
   */
  readonly name?: string
  /** Tokens a full bucket holds: the largest burst. From 0 to 1e12. */
  readonly capacity: number
  readonly refill: Refill
}

/** The shorthand: `limit` requests per `window`, refilled evenly, in bursts of up to `limit`. */
export interface WindowLimitOptions {
  /** As in {@link BucketLimitOptions.name}. */
  readonly name?: string
  /** Requests per window; an integer from 0 to 1e12. */
  readonly limit: number
  /** The window, from 1 ms to 10 years. */
  readonly window: Duration
}

/** A limit, in one of the two forms. */
export type LimitOptions = BucketLimitOptions | WindowLimitOptions

/** A limit as the package works with it: `tokens` tokens every `micros` microseconds, up to `capacity`. */
export interface Limit {
  readonly name: string
  readonly capacity: number
  readonly tokens: number
  readonly micros: number
  /** It decides and counts, but refuses nothing. */
  readonly shadow: boolean
}

/** The largest number in a limit. */
export const MOST_TOKENS = 1e12
/** The longest period, in milliseconds. */
export const TEN_YEARS = 3_653 * 86_400_000
const amount = number({ min: 0, max: MOST_TOKENS })
const period = duration({ min: 1, max: TEN_YEARS })

/** Without braces, which would move the hash tag of a Redis key, and without what a header must quote. */
const limitName: Check<string> = string({
  pattern: /^[\w.:-]{1,64}$/,
  like: 'letters, digits, ".", "_", ":" or "-", 64 at most',
})

/** The options that describe a limit; the RateLimiter's own resolver has them too. */
export const LIMIT_CHECKS = {
  name: optional(limitName),
  capacity: optional(amount),
  refill: optional(nested({ tokens: amount, per: period })),
  limit: optional(integer({ min: 0, max: MOST_TOKENS })),
  window: optional(period),
} as const

const resolveLimit = defineOptions('limiter', 'limit', LIMIT_CHECKS)
const resolved = new WeakSet<Limit>()

/** The options after {@link LIMIT_CHECKS}. */
export interface CheckedLimit {
  readonly name: string | undefined
  readonly capacity: number | undefined
  readonly refill: { readonly tokens: number; readonly per: number } | undefined
  readonly limit: number | undefined
  readonly window: number | undefined
  readonly shadow?: boolean
  /** Each call brings its own numbers. */
  readonly varies?: boolean | undefined
}

/**
 * Checks a limit once, so that it can be given to `consume` on each request at no cost: a plan of the user, for
 * example.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function defineLimit(options: LimitOptions): Limit {
  return limitFrom(resolveLimit(options))
}

/** The limit that checked options describe. */
export function limitFrom(checked: CheckedLimit): Limit {
  const { name, capacity, refill, limit, window, shadow = false, varies = false } = checked
  const full = capacity ?? limit
  const tokens = refill?.tokens ?? limit
  const per = refill?.per ?? window
  if (
    full === undefined ||
    tokens === undefined ||
    per === undefined ||
    (capacity === undefined) !== (refill === undefined) ||
    (limit === undefined) !== (window === undefined) ||
    (capacity === undefined) === (limit === undefined)
  ) {
    throw misuse(
      TypeError,
      'ERR_LIMITER_OPTION',
      'A limit is either { capacity, refill: { tokens, per } } or { limit, window }',
    )
  }
  const made = Object.freeze({
    name: name ?? nameOf(varies ? 'varying' : tokens, full, tokens, per),
    capacity: full,
    tokens,
    micros: per * 1_000,
    shadow,
  })
  resolved.add(made)
  return made
}

/** A limit for one call in place of `own`: one made by {@link defineLimit} as it is, anything else checked now. */
export function limitOf(given: Limit | LimitOptions, { name, shadow }: Limit): Limit {
  if ('micros' in given && resolved.has(given)) {
    if (given.name === name && given.shadow === shadow) return given
    return limitFrom({ ...EMPTY, ...bucketOf(given), name, shadow })
  }
  return limitFrom({ ...resolveLimit(given), name, shadow })
}

const EMPTY = { limit: undefined, window: undefined }

function bucketOf({ capacity, tokens, micros }: Limit) {
  return { capacity, refill: { tokens, per: micros / 1_000 } }
}

/** The same limit for a part of the traffic; at least one whole request fits, if it did before. */
export function shareOfLimit(limit: Limit, share: number): Limit {
  const capacity = Math.max(Math.min(1, limit.capacity), limit.capacity * share)
  return { ...limit, capacity, tokens: limit.tokens * share }
}

/** Milliseconds in which an empty bucket becomes full: the window that a header speaks of. */
export function windowOf({ capacity, tokens, micros }: Limit): number | undefined {
  return tokens === 0 ? undefined : (capacity * micros) / tokens / 1_000
}

/** Whether two limits decide alike. */
export function sameLimits(a: readonly Limit[], b: readonly Limit[]): boolean {
  return a === b || (a.length === b.length && a.every((limit, i) => sameLimit(limit, b[i]!)))
}

function sameLimit(a: Limit, b: Limit): boolean {
  return (
    a === b ||
    (a.name === b.name &&
      a.capacity === b.capacity &&
      a.tokens === b.tokens &&
      a.micros === b.micros &&
      a.shadow === b.shadow)
  )
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

function nameOf(count: number | 'varying', capacity: number, tokens: number, per: number): string {
  const [unit, size] = UNITS.find(([, size]) => per % size === 0) ?? ['ms', 1]
  const pace = `${count}-in-${per / size}${unit}`
  return capacity === tokens ? pace : `${pace}-burst-${capacity}`
}
