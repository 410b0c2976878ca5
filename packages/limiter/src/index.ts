export { limiters } from './all.js'
export type { Decision, Source } from './decision.js'
export { LimiterClosedError, RateLimitError, StoreUnavailableError } from './errors.js'
export {
  type BucketLimitOptions,
  defineLimit,
  type Limit,
  type LimitOptions,
  type Refill,
  type WindowLimitOptions,
} from './limit.js'
export { type ConsumeOptions, RateLimiter, type RateLimiterStats, type WaitOptions } from './limiter.js'
export { type MemoryStoreOptions, memoryStore } from './memory-store.js'
export { RATE_LIMITER_DEFAULTS, type RateLimiterOptions } from './options.js'
export type { Answer, BucketSettings, Buckets, FailurePolicy, Store, StoreStats } from './store.js'
