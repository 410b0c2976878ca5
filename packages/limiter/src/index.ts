export { limiters } from './all.js'
export type { Decision, Source } from './bucket/decision.js'
export {
  type BucketLimitOptions,
  defineLimit,
  type Limit,
  type LimitOptions,
  type Refill,
  type WindowLimitOptions,
} from './bucket/limit.js'
export type {
  Answer,
  BucketSettings,
  Buckets,
  FailurePolicy,
  Remembered,
  Store,
  StoreStats,
} from './bucket/store.js'
export { type AdaptiveLimit, type AdaptiveLimitOptions, adaptiveLimit } from './concurrency/adaptive-limit.js'
export {
  type AcquireOptions,
  ConcurrencyLimiter,
  type ConcurrencyLimiterOptions,
  type ConcurrencyStats,
  type Permit,
} from './concurrency/concurrency.js'
export { ConcurrencyError, LimiterClosedError, RateLimitError, StoreUnavailableError } from './errors.js'
export type { Trust } from './http/address.js'
export { type ClientAddressOptions, clientAddress } from './http/client-address.js'
export type { OptionsUsed, RateLimitInfo } from './http/rate-limit-options.js'
export { type ConsumeOptions, RateLimiter, type RateLimiterStats, type WaitOptions } from './limiter.js'
export { RATE_LIMITER_DEFAULTS, type RateLimiterOptions } from './options.js'
export {
  type ClusterStoreServer,
  type ClusterStoreServerStats,
  serveClusterStore,
} from './stores/cluster/cluster-server.js'
export { type ClusterStore, type ClusterStoreOptions, clusterStore } from './stores/cluster/cluster-store.js'
export { type MemoryStoreOptions, memoryStore } from './stores/memory/memory-store.js'
export type { RedisClient } from './stores/redis/redis-client.js'
export { type RedisStore, type RedisStoreOptions, redisStore } from './stores/redis/redis-store.js'
export type { StoreChange, StoreEvents } from './stores/remote/shared-store.js'
