export { Cache } from './cache.js'
export {
  CacheClosedError,
  LoadTimeoutError,
  ReentrantLoadError,
  StoreUnavailableError,
  UncacheableValueError,
} from './errors.js'
export type { CacheKey, KeyPart } from './key.js'
export type { LoadContext, Loader } from './load/loader.js'
export {
  type CacheOptions,
  type CallOptions,
  DEFAULTS,
  type EntryOptions,
  type FirstTierOptions,
  type WrapOptions,
} from './options.js'
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
export { type MemcachedStoreOptions, memcachedStore } from './stores/memcached/memcached-store.js'
export { type MemoryStoreOptions, memoryStore } from './stores/memory/memory-store.js'
export type { RedisClient, RedisCommand } from './stores/redis/redis-client.js'
export { type RedisStoreOptions, redisStore } from './stores/redis/redis-store.js'
