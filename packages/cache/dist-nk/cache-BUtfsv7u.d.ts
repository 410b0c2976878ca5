/** Where the time comes from. Injectable, so that tests can move it. */
interface Clock {
    /** Milliseconds, with a fraction. Never goes back for {@link monotonicClock}. */
    now(): number;
}

/** A length of time: a number of milliseconds, or a string such as `'250ms'`, `'30s'`, `'15m'`, `'1h'`, `'7d'`. */
type Duration = number | `${number}${DurationUnit}`;
type DurationUnit = 'ms' | 's' | 'm' | 'h' | 'd';

interface CloseOptions {
    /** How long work in progress may take to finish before it is cut off. Default: the object's own. */
    readonly timeout?: Duration;
    /** Cuts the waiting short; the object is still released. */
    readonly signal?: AbortSignal;
}

/** An amount of memory: a number of bytes, or a string such as `'512kb'`, `'64mb'`, `'2gb'` (powers of 1024). */
type Size = number | `${number}${SizeUnit}`;
type SizeUnit = 'b' | 'kb' | 'mb' | 'gb';

type KeyPart = string | number | bigint | boolean | null;
/**
 * Marks the keys of what the package itself stores. By a symbol, which no data from outside can hold; from the registry,
 * since an adapter of the ESM build may be given a cache of the CJS build.
 */
declare const OWN: unique symbol;
/** A key of the package itself. */
interface OwnKey {
    readonly [OWN]: string;
}
/** What names an entry. Types count: `1` and `'1'`, `['u', 1]` and `['u', '1']` are different keys. */
type CacheKey = string | number | bigint | readonly KeyPart[] | OwnKey;

/**
 * What the second tier must be able to do. `redisStore`, `memcachedStore` and `memoryStore` make one; a cache opens
 * it under its own name. All stores pass one contract suite.
 */
interface CacheStore {
    /** For statistics and messages: `'redis'`. */
    readonly kind: string;
    /** The tier of one namespace. Caches of the same name share entries, epochs and the bus. */
    open(namespace: string): Tier | Shards;
}
/** Several servers that fail one by one: each has its own entries, and the epochs which these carry. */
interface Shards {
    readonly tiers: readonly Tier[];
    /** The index of the tier that has the key; the same on all nodes, whichever servers are there. */
    of(key: string): number;
}
interface Reading {
    /** The bytes of the entry, or `undefined`: a miss. */
    readonly frame: Buffer | undefined;
    /** The epoch of each name asked for; `undefined` when it does not exist (never made, or evicted). */
    readonly epochs: readonly (string | undefined)[];
}
interface ReadingMany {
    readonly frames: readonly (Buffer | undefined)[];
    readonly epochs: readonly (string | undefined)[];
}
interface Epoch {
    readonly value: string;
    /** Milliseconds since it was made, measured by its own server; `Infinity` when this very call has made it. */
    readonly age: number;
}
/**
 * The right to write the result of one load. It is a fence, too: any delete or write of the key in between makes
 * `commit` refuse. (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1.)
 */
interface Lease {
    readonly key: string;
    readonly token: string;
}
/** `busy`: somebody else is loading. `changed`: the entry is not the one that was seen, read again. */
type Acquired = Lease | 'busy' | 'changed';
interface BusListener {
    message(text: string): void;
    /** Messages may have been lost: what was held since cannot be trusted. */
    gap(): void;
    /** Messages arrive again, and every one from now on. */
    healed(): void;
}
interface Tier {
    /** Whether a command would be sent at once. The cache never calls a tier that is not ready. */
    readonly ready: boolean;
    /**
     * The time of the server, as far as it is known, in milliseconds since 1970: the times in an entry are by it. Left out
     * where it is the time of this process.
     */
    now?(): number;
    /** Resolves when ready for the first time; a cache waits for it within its store timeout. */
    opened(): Promise<void>;
    read(key: string, epochs: readonly string[]): Promise<Reading>;
    readMany(keys: readonly string[], epochs: readonly string[]): Promise<ReadingMany>;
    /** The epochs of these names; missing ones are made, with a value that never was before. */
    epochs(names: readonly string[]): Promise<readonly Epoch[]>;
    /** @param seen the id of the entry that is to be replaced, `''` for a miss */
    acquire(key: string, token: string, milliseconds: number, seen: string): Promise<Acquired>;
    /** False when the lease is lost. */
    renew(lease: Lease, milliseconds: number): Promise<boolean>;
    release(lease: Lease): Promise<void>;
    /** Writes under the lease and ends it. False when the lease was lost or voided: nothing is written. */
    commit(lease: Lease, frame: Buffer, milliseconds: number, message: string): Promise<boolean>;
    /** Writes, and voids any lease of the key. */
    write(key: string, frame: Buffer, milliseconds: number, message: string): Promise<void>;
    /** Deletes, and voids any lease of the keys. */
    remove(keys: readonly string[], message: string): Promise<void>;
    /** Gives the name a new epoch: every entry that carries the old one is invalid from now on. */
    bump(name: string, message: string): Promise<void>;
    ping(): Promise<void>;
    /** Listens to the messages of all nodes, also the own. `undefined`: this store has no bus. */
    readonly listen?: ((listener: BusListener) => void) | undefined;
    close(): Promise<void>;
}

/** How long and how an entry may be used. Options of the cache are the defaults of each call. */
interface EntryOptions {
    /** How long the value is fresh. 0 or less: not stored. Default: `'5m'`. */
    readonly ttl?: Duration;
    /** How long after that it may be served while one background refresh runs. Default: false. */
    readonly swr?: Duration | false;
    /** How long after that it may be served when the loader fails. Default: false. */
    readonly staleIfError?: Duration | false;
    /** Names that invalidate the entry together with others. Default: none. */
    readonly tags?: readonly string[];
    /** How long a failed load answers the next callers with the same error. Default: false. */
    readonly errorTtl?: Duration | false;
    /** How long a loader may run; then every waiter gets a `LoadTimeoutError`. Default: `'30s'`. */
    readonly loadTimeout?: Duration | false;
    /** How long a loader may keep callers waiting when a stale value is there. Default: false. */
    readonly softTimeout?: Duration | false;
    /**
     * How the value is kept from harm: `'freeze'` (values with Map, Date or bytes are copied instead; with `l1: false`,
     * where nothing is kept, each caller has a value of its own), `'clone'` (a copy for each caller), `'reference'`
     * (callers promise not to change it). Default: `'freeze'`.
     */
    readonly share?: 'freeze' | 'clone' | 'reference';
}
interface CallOptions extends EntryOptions {
    /** Ends this caller's wait. The load goes on for the others, and stops with the last one. */
    readonly signal?: AbortSignal | undefined;
    /** Load anew although a fresh value is there. Default: false. */
    readonly refresh?: boolean;
}
interface FirstTierOptions {
    /** Bytes of all entries together, by an estimate. Default: `'64mb'`. */
    readonly maxBytes?: Size;
    /** Larger entries live in the store only. Default: `'1mb'`. */
    readonly maxEntryBytes?: Size;
    /** How long an entry may stay at most. Default: 5 s when there is a store without a bus, otherwise no limit. */
    readonly ttl?: Duration | false;
}
interface CacheOptions extends EntryOptions {
    /** Namespace: caches of one name share entries in the store. Default: `'cache'`. */
    readonly name?: string;
    /** The second tier, shared by all nodes. Default: none. */
    readonly store?: CacheStore;
    /** The first tier, in this process; `false`: none. */
    readonly l1?: FirstTierOptions | false;
    /** Spreads expiries: the ttl is shortened by up to this share of it. Default: 0.1. */
    readonly jitter?: number;
    /** XFetch: how eagerly hot keys are refreshed before they expire; 1 is the paper's optimum. Default: false. */
    readonly earlyRefresh?: number | false;
    /** How long one operation of the store may take. Default: `'250ms'`. */
    readonly storeTimeout?: Duration;
    /** Operations of the store under way at most; more go on without it. Default: 10,000. */
    readonly maxPending?: number;
    /** How long the lease of a loading process lives without being renewed. Default: `'10s'`. */
    readonly lease?: Duration;
    /** Larger encoded values are not written to the store. Default: `'1mb'`. */
    readonly maxValueBytes?: Size;
    /** Encoded values above this size are compressed for the store. Default: false. */
    readonly compressAbove?: Size | false;
    /** Invalidations kept while the store is away; beyond it the whole namespace is invalidated. Default: 10,000. */
    readonly maxQueuedInvalidations?: number;
    /** Milliseconds since 1970. Default: the wall clock. */
    readonly clock?: Clock;
}
interface WrapOptions<Args extends unknown[]> extends EntryOptions {
    /** The key of a call. */
    readonly key: (...args: Args) => CacheKey;
}
declare const DEFAULTS: Readonly<{
    name: "cache";
    l1: Readonly<{}>;
    jitter: 0.1;
    earlyRefresh: false;
    storeTimeout: "250ms";
    maxPending: 10000;
    lease: "10s";
    maxValueBytes: "1mb";
    compressAbove: false;
    maxQueuedInvalidations: 10000;
    clock: Clock;
    ttl: "5m";
    swr: false;
    staleIfError: false;
    tags: readonly never[];
    errorTtl: false;
    loadTimeout: "30s";
    softTimeout: false;
    share: "freeze";
}>;

/** What a loader is told, and what it may decide. */
interface LoadContext {
    /** Aborts at the load timeout, when the last caller has gone, and when the cache is closed by force. */
    readonly signal: AbortSignal;
    /** The value that is being replaced, for a conditional refresh: return it to keep it. */
    readonly stale: unknown;
    /** Nobody waits: the value that is being replaced has been served. */
    readonly background: boolean;
    /** Replaces the `ttl` of the call. */
    setTtl(ttl: Duration): void;
    /** Replaces `swr` and `staleIfError` of the call, for this entry. A later caller cannot ask for more than these. */
    setStale(windows: {
        readonly swr?: Duration | false;
        readonly staleIfError?: Duration | false;
    }): void;
    /** Replaces the `tags` of the call. */
    setTags(tags: readonly string[]): void;
    /** The value goes to the callers, and is not stored. */
    skip(): void;
}
type Loader<T> = (context: LoadContext) => T | Promise<T>;

/** A snapshot. Counts are since the cache was made. */
interface CacheStats {
    readonly name: string;
    readonly l1: {
        readonly hits: number;
        /** Hits of all look-ups, 0 to 1. */
        readonly hitRatio: number;
        readonly entries: number;
        /** An estimate. */
        readonly bytes: number;
    };
    readonly l2: {
        readonly hits: number;
        /** Hits of the look-ups that the first tier did not answer, 0 to 1. */
        readonly hitRatio: number;
        /** All of its servers are connected. */
        readonly ready: boolean;
        /** Of one of its servers at least. */
        readonly breakerOpen: boolean;
        /** Servers that are not used at the moment; calls for their keys go on without a second tier. */
        readonly serversAway: number;
        readonly pending: number;
        readonly timeouts: number;
        readonly queuedInvalidations: number;
        /** Whether other nodes' changes are heard; `undefined` when the store has no bus. */
        readonly busHealthy: boolean | undefined;
    } | undefined;
    readonly misses: number;
    /** Answers that were expired. */
    readonly stale: number;
    readonly loads: number;
    readonly loadErrors: number;
    /** Callers who shared the load of another. */
    readonly joins: number;
    readonly leaseWaits: number;
    readonly invalidations: number;
    /** Searches and loads under way. */
    readonly inFlight: number;
}

/**
 * A cache-aside cache of one or two tiers: this process, and a store that all processes share.
 *
 * ```ts
 * const cache = new Cache({ store: redisStore(redis), ttl: '1m' })
 * const user = await cache.getOrSet(['user', id], () => db.user(id), { tags: ['users'] })
 * ```
 *
 * One load per key runs at a time, in the whole cluster when the store is there. A delete, a set or a tag's
 * invalidation wins over every load that began before it. Errors of the loader reach the callers as they are;
 * errors of the store never do.
 */
declare class Cache implements AsyncDisposable {
    #private;
    readonly name: string;
    /** @throws TypeError | RangeError `ERR_CACHE_OPTION` naming the option and what is allowed */
    constructor(options?: CacheOptions);
    /**
     * The value of the key; when there is none, what the loader returns, which is stored (unless it is `undefined`).
     *
     * @throws whatever the loader throws, unchanged, for every caller who waits for it
     * @throws LoadTimeoutError when it takes longer than `loadTimeout`
     * @throws ReentrantLoadError when it waits for itself
     * @throws the reason of `options.signal` when that aborts
     */
    getOrSet<T>(key: CacheKey, loader: Loader<T>, options?: CallOptions): Promise<T>;
    /**
     * The fresh value of the key if this process holds it: at once, without a promise and without a look at the store.
     * `undefined` says nothing about the store; `get` does.
     */
    peek<T = unknown>(key: CacheKey): T | undefined;
    /** The fresh value of the key, or `undefined`. */
    get<T = unknown>(key: CacheKey): Promise<T | undefined>;
    /** The fresh values of the keys in their order, `undefined` for those that are not there, in one round trip. */
    getMany<T = unknown>(keys: readonly CacheKey[]): Promise<(T | undefined)[]>;
    /**
     * Stores a value. It wins over every load that began before. `undefined`, and a `ttl` of 0 or less, delete the key.
     *
     * @throws UncacheableValueError for functions, symbols and class instances
     */
    set(key: CacheKey, value: unknown, options?: EntryOptions): Promise<void>;
    /**
     * Milliseconds since 1970 by the clock that the times of the key's entry are by: that of the store, so that nodes whose
     * clocks differ agree, as far as it is known; without a store that of this cache.
     */
    now(key: CacheKey): number;
    /** Deletes the key on all nodes. A load that began before is not stored, and callers after this begin a new one. */
    delete(key: CacheKey): Promise<void>;
    deleteMany(keys: readonly CacheKey[]): Promise<void>;
    /** Invalidates all entries with the tag, or with any of the tags: one command each, however many entries. */
    deleteByTag(tags: string | readonly string[]): Promise<void>;
    /** Invalidates everything in this cache's namespace, in one command. */
    clear(): Promise<void>;
    /** A function that answers from the cache: `const user = cache.wrap(loadUser, { key: (id) => ['user', id] })`. */
    wrap<Args extends unknown[], T>(fn: (...args: Args) => T | Promise<T>, options: WrapOptions<Args>): (...args: Args) => Promise<T>;
    stats(): CacheStats;
    [Symbol.asyncDispose](): Promise<void>;
    /** Stops admitting, waits for loads under way (5 s by default), closes what it opened. The store's client is yours. */
    readonly close: (options?: CloseOptions) => Promise<void>;
}

export { type Acquired as A, type BusListener as B, Cache as C, DEFAULTS as D, type EntryOptions as E, type FirstTierOptions as F, type KeyPart as K, type Lease as L, type Reading as R, type Shards as S, type Tier as T, type WrapOptions as W, type CacheStore as a, type Clock as b, type CacheKey as c, type CacheOptions as d, type CacheStats as e, type CallOptions as f, type Epoch as g, type LoadContext as h, type Loader as i, type ReadingMany as j, type Duration as k, type Size as l };
