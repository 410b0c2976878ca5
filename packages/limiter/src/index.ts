export { type AdaptiveLimit, type AdaptiveLimitOptions, adaptiveLimit } from './adaptive-limit.js'
export type { Trust } from './address.js'
export { limiters } from './all.js'
export { type ClientAddressOptions, clientAddress } from './client-address.js'
export { type ClusterStoreServer, type ClusterStoreServerStats, serveClusterStore } from './cluster-server.js'
export { type ClusterStore, type ClusterStoreOptions, clusterStore } from './cluster-store.js'
export {
  type AcquireOptions,
  ConcurrencyLimiter,
  type ConcurrencyLimiterOptions,
  type ConcurrencyStats,
  type Permit,
} from './concurrency.js'
export type { Decision, Source } from './decision.js'
export { ConcurrencyError, LimiterClosedError, RateLimitError, StoreUnavailableError } from './errors.js'
export type { OptionsUsed, RateLimitInfo } from './foreign-options.js'
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
export type { RedisClient } from './redis-client.js'
export { type RedisStore, type RedisStoreOptions, redisStore } from './redis-store.js'
export type { StoreChange, StoreEvents } from './shared-store.js'
export type {
  Answer,
  BucketSettings,
  Buckets,
  FailurePolicy,
  Remembered,
  Store,
  StoreStats,
} from './store.js'
