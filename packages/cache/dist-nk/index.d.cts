import { a as CacheStore, b as Clock } from './cache-BUtfsv7u.cjs';
export { A as Acquired, B as BusListener, C as Cache, c as CacheKey, d as CacheOptions, e as CacheStats, f as CallOptions, D as DEFAULTS, E as EntryOptions, g as Epoch, F as FirstTierOptions, K as KeyPart, L as Lease, h as LoadContext, i as Loader, R as Reading, j as ReadingMany, S as Shards, T as Tier, W as WrapOptions } from './cache-BUtfsv7u.cjs';

/** The loader did not settle within `loadTimeout`. Every waiter gets it; the key is free for the next caller. */
declare class LoadTimeoutError extends Error {
    readonly code = "ERR_CACHE_LOAD_TIMEOUT";
    /** Milliseconds the loader was given. */
    readonly timeout: number;
    constructor(timeout: number);
}
/** A loader waits for its own result, directly or through other keys. `chain` names the keys in order. */
declare class ReentrantLoadError extends Error {
    readonly code = "ERR_CACHE_REENTRANT";
    readonly chain: readonly string[];
    constructor(chain: readonly string[]);
}
/** A value that a cache cannot hold: a function, a symbol, a class instance. The caller still gets the value. */
declare class UncacheableValueError extends TypeError {
    readonly code = "ERR_CACHE_VALUE";
    constructor(reason: string, cause?: unknown);
}
/** The second tier did not answer in time, is not connected, or its breaker is open. Never reaches a caller. */
declare class StoreUnavailableError extends Error {
    readonly code = "ERR_CACHE_STORE";
    constructor(reason: string);
}
/** The cache was closed before the call. */
declare class CacheClosedError extends Error {
    readonly code = "ERR_CACHE_CLOSED";
    constructor();
}

interface MemcachedStoreOptions {
    /** Put before each key, so that apps can share servers. Up to 20 letters, digits and `_ . : -`. Default: `''`. */
    readonly keyPrefix?: string;
}
/**
 * A second tier in Memcached 1.6 or later, over its meta protocol. Keys are spread over several servers by consistent
 * hashing. Each server stands for itself: it holds the epochs of its entries, and when it is away its keys do without a
 * second tier; they do not move to another, which would not hear what the first is told, nor the other way round. It has
 * no bus: other nodes' changes are seen after `l1.ttl` (5 s by default).
 *
 * ```ts
 * const cache = new Cache({ store: memcachedStore(['10.0.0.1:11211', '10.0.0.2:11211']) })
 * ```
 *
 * @throws TypeError | RangeError `ERR_CACHE_OPTION`
 */
declare function memcachedStore(servers: string | readonly string[], options?: MemcachedStoreOptions): CacheStore;

interface MemoryStoreOptions {
    /** Bytes of all entries together. Default: 64 MB. */
    readonly maxBytes?: number;
    readonly clock?: Clock;
}
/**
 * A second tier in the memory of this process, shared by all caches that open it: for tests, and for a single
 * process that wants several caches to agree. Least recently used entries go first.
 */
declare function memoryStore({ maxBytes, clock, }?: MemoryStoreOptions): CacheStore;

/**
 * The part of an ioredis client (5 or 6: `Redis`, with Sentinel or without, or `Cluster`) that the store uses. The
 * client is the user's: how it connects and when it gives up is theirs to choose, and so is closing it.
 */
interface RedisClient {
    readonly status: string;
    readonly isCluster?: boolean;
    readonly options?: object;
    createBuiltinCommand(name: string): {
        readonly string: RedisCommand;
        readonly buffer: RedisCommand;
    };
    connect(): Promise<unknown>;
    on(event: string, listener: (...args: any[]) => void): unknown;
    off(event: string, listener: (...args: any[]) => void): unknown;
}
type RedisCommand = (...args: (string | number | Buffer)[]) => Promise<unknown>;

interface RedisStoreOptions {
    /**
     * Tell other nodes of changes over pub/sub, on a connection of its own, so that the first tiers agree at once. False:
     * they agree within `l1.ttl`. Default: true.
     */
    readonly bus?: boolean;
}
/**
 * A second tier in Redis 6.2 or later, over an ioredis client of yours (5 or 6; standalone, Sentinel or Cluster). Nothing
 * is sent before the client is ready. The client is not closed with the cache.
 *
 * ```ts
 * const cache = new Cache({ store: redisStore(new Redis(url)) })
 * ```
 *
 * @throws TypeError `ERR_CACHE_OPTION`
 */
declare function redisStore(client: RedisClient, options?: RedisStoreOptions): CacheStore;

export { CacheClosedError, CacheStore, LoadTimeoutError, type MemcachedStoreOptions, type MemoryStoreOptions, type RedisClient, type RedisCommand, type RedisStoreOptions, ReentrantLoadError, StoreUnavailableError, UncacheableValueError, memcachedStore, memoryStore, redisStore };
