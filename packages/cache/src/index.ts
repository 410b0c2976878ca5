export { Cache } from './cache.js'
export type { LoadContext, Loader } from './context.js'
export {
  CacheClosedError,
  LoadTimeoutError,
  ReentrantLoadError,
  StoreUnavailableError,
  UncacheableValueError,
} from './errors.js'
export type { CacheKey, KeyPart } from './key.js'
export { type MemcachedStoreOptions, memcachedStore } from './memcached-store.js'
export { type MemoryStoreOptions, memoryStore } from './memory-store.js'
export {
  type CacheOptions,
  type CallOptions,
  DEFAULTS,
  type EntryOptions,
  type FirstTierOptions,
  type WrapOptions,
} from './options.js'
export type { RedisClient, RedisCommand } from './redis-client.js'
export { type RedisStoreOptions, redisStore } from './redis-store.js'
export type { CacheStats } from './stats.js'
export type {
  Acquired,
  BusListener,
  CacheStore,
  Epoch,
  Lease,
  Reading,
  ReadingMany,
  Shards,
  Tier,
} from './store.js'
