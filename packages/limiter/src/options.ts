import {
  boolean,
  type Check,
  type Duration,
  defineOptions,
  duration,
  either,
  having,
  integer,
  nested,
  number,
  oneOf,
  optional,
  orFalse,
} from '@spillway/kit'
import { LIMIT_CHECKS, type LimitOptions } from './bucket/limit.js'
import type { Answer, FailurePolicy, Store } from './bucket/store.js'

/** Options of a `RateLimiter`: the limit, and how it is kept. */
export type RateLimiterOptions<R extends Answer = Answer> = LimitOptions & {
  /** Where the buckets live. Default: a `memoryStore()` of its own. */
  readonly store?: Store<R>
  /**
   * What to do when a shared store fails or is late: `'allow'`, `'deny'` (the adapters answer 503), or `'local'`:
   * decide in this process with this worker's share of the limit; `{ local: 0.25 }` sets the share. Default: `'local'`.
   */
  readonly onStoreFailure?: FailurePolicy
  /**
   * How long a denial by a shared store is repeated without asking the store, at most until the bucket has refilled enough.
   * `false`: the store is asked each time. Exact, unless another process refunds meanwhile. Default: `'1s'`.
   */
  readonly denyCache?: Duration | false
  /**
   * Takes tokens of busy keys from a shared store in advance, up to `max` per key and process, and gives them back when
   * idle (default `'1s'`). Fewer calls, for a bounded burst: at most `max` tokens per process over the limit. Default: `false`.
   */
  readonly lease?: { readonly max: number; readonly idle?: Duration } | false
  /** Decide and count, but admit every call: to try a limit on live traffic. Default: `false`. */
  readonly shadow?: boolean
}

/** Defaults of {@link RateLimiterOptions}; durations in milliseconds. */
export const RATE_LIMITER_DEFAULTS = Object.freeze({
  onStoreFailure: 'local',
  denyCache: 1_000,
  lease: false,
  shadow: false,
})

const policy: Check<FailurePolicy> = either(
  oneOf('allow', 'deny', 'local'),
  nested({ local: number({ min: 0, max: 1 }) }),
)

/** The checks of these options; the adapters use them, too. */
export const RATE_LIMITER_CHECKS = {
  ...LIMIT_CHECKS,
  store: optional(having<Store<Answer>>('a store', 'open', 'stats', 'close')),
  onStoreFailure: policy,
  denyCache: orFalse(duration()),
  lease: orFalse(nested({ max: integer({ min: 1 }), idle: duration({ min: 10 }) }, { idle: 1_000 })),
  shadow: boolean,
} as const

export const resolveRateLimiterOptions = defineOptions(
  'limiter',
  'RateLimiter',
  RATE_LIMITER_CHECKS,
  RATE_LIMITER_DEFAULTS,
)
