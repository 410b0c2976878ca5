import {
  boolean,
  type Check,
  type Clock,
  type Duration,
  defineOptions,
  duration,
  durationMs,
  having,
  integer,
  list,
  nested,
  number,
  oneOf,
  optional,
  orFalse,
  type Resolved,
  refuse,
  type Size,
  size,
  string,
  wallClock,
} from '@spillway/kit'
import type { CacheKey } from './key.js'
import type { CacheStore } from './store.js'

/** How long and how an entry may be used. Options of the cache are the defaults of each call. */
export interface EntryOptions {
  /** How long the value is fresh. 0 or less: not stored. Default: `'5m'`. */
  readonly ttl?: Duration
  /** How long after that it may be served while one background refresh runs. Default: false. */
  readonly swr?: Duration | false
  /** How long after that it may be served when the loader fails. Default: false. */
  readonly staleIfError?: Duration | false
  /** Names that invalidate the entry together with others. Default: none. */
  readonly tags?: readonly string[]
  /** How long a failed load answers the next callers with the same error. Default: false. */
  readonly errorTtl?: Duration | false
  /** How long a loader may run; then every waiter gets a `LoadTimeoutError`. Default: `'30s'`. */
  readonly loadTimeout?: Duration | false
  /** How long a loader may keep callers waiting when a stale value is there. Default: false. */
  readonly softTimeout?: Duration | false
  /**
   * How the value is kept from harm: `'freeze'` (values with Map, Date or bytes are copied instead; with `l1: false`,
   * where nothing is kept, each caller has a value of its own), `'clone'` (a copy for each caller), `'reference'`
   * (callers promise not to change it). Default: `'freeze'`.
   */
  readonly share?: 'freeze' | 'clone' | 'reference'
}

/** How values are kept from harm. `own`: no entry is kept here, so that each caller has a value of its own. */
export type Share = 'freeze' | 'clone' | 'reference' | 'own'

export interface CallOptions extends EntryOptions {
  /** Ends this caller's wait. The load goes on for the others, and stops with the last one. */
  readonly signal?: AbortSignal | undefined
  /** Load anew although a fresh value is there. Default: false. */
  readonly refresh?: boolean
}

export interface FirstTierOptions {
  /** Bytes of all entries together, by an estimate. Default: `'64mb'`. */
  readonly maxBytes?: Size
  /** Larger entries live in the store only. Default: `'1mb'`. */
  readonly maxEntryBytes?: Size
  /** How long an entry may stay at most. Default: 5 s when there is a store without a bus, otherwise no limit. */
  readonly ttl?: Duration | false
}

export interface CacheOptions extends EntryOptions {
  /** Namespace: caches of one name share entries in the store. Default: `'cache'`. */
  readonly name?: string
  /** The second tier, shared by all nodes. Default: none. */
  readonly store?: CacheStore
  /** The first tier, in this process; `false`: none. */
  readonly l1?: FirstTierOptions | false
  /** Spreads expiries: the ttl is shortened by up to this share of it. Default: 0.1. */
  readonly jitter?: number
  /** XFetch: how eagerly hot keys are refreshed before they expire; 1 is the paper's optimum. Default: false. */
  readonly earlyRefresh?: number | false
  /** How long one operation of the store may take. Default: `'250ms'`. */
  readonly storeTimeout?: Duration
  /** Operations of the store under way at most; more go on without it. Default: 10,000. */
  readonly maxPending?: number
  /** How long the lease of a loading process lives without being renewed. Default: `'10s'`. */
  readonly lease?: Duration
  /** Larger encoded values are not written to the store. Default: `'1mb'`. */
  readonly maxValueBytes?: Size
  /** Encoded values above this size are compressed for the store. Default: false. */
  readonly compressAbove?: Size | false
  /** Invalidations kept while the store is away; beyond it the whole namespace is invalidated. Default: 10,000. */
  readonly maxQueuedInvalidations?: number
  /** Milliseconds since 1970. Default: the wall clock. */
  readonly clock?: Clock
}

/** A lifetime: 0 and less mean "do not store"; a fraction of a millisecond is a whole one. */
const lifetime: Check<number> = (value, place) => {
  if (typeof value === 'number' && value <= 0) return 0
  const milliseconds = durationMs(value)
  if (milliseconds === undefined)
    refuse(RangeError, place, "a duration (milliseconds, or a string like '250ms', '30s', '15m')", value)
  return Math.ceil(milliseconds)
}

/** The ttl that a loader sets. @throws RangeError when it is not a duration */
export function resolveTtl(given: unknown): number {
  return lifetime(given, { owner: 'setTtl', name: 'ttl', code: 'ERR_CACHE_OPTION' })
}

/** The tags that a loader sets or that are to be invalidated. @throws TypeError when they are not non-empty strings */
export function resolveTags(given: unknown): readonly string[] {
  return list(string())(given, { owner: 'setTags', name: 'tags', code: 'ERR_CACHE_OPTION' })
}

/** The stale windows that a loader sets; those it leaves out stay as they are. @throws RangeError when one is not a duration */
export const resolveWindows = defineOptions('cache', 'setStale', {
  swr: optional(orFalse(duration())),
  staleIfError: optional(orFalse(duration())),
}) as (given: object) => { readonly swr?: number | false; readonly staleIfError?: number | false }

const ENTRY_CHECKS = {
  ttl: lifetime,
  swr: orFalse(duration()),
  staleIfError: orFalse(duration()),
  tags: list(string()),
  errorTtl: orFalse(duration()),
  loadTimeout: orFalse(duration({ min: 1 })),
  softTimeout: orFalse(duration({ min: 1 })),
  share: oneOf('freeze', 'clone', 'reference'),
}

const ENTRY_DEFAULTS = Object.freeze({
  ttl: '5m',
  swr: false,
  staleIfError: false,
  tags: Object.freeze([]),
  errorTtl: false,
  loadTimeout: '30s',
  softTimeout: false,
  share: 'freeze',
})

const L1_CHECKS = { maxBytes: size({ min: 1 }), maxEntryBytes: size(), ttl: optional(orFalse(duration())) }
const L1_DEFAULTS = Object.freeze({ maxBytes: '64mb', maxEntryBytes: '1mb' })

export interface WrapOptions<Args extends unknown[]> extends EntryOptions {
  /** The key of a call. */
  readonly key: (...args: Args) => CacheKey
}

export const DEFAULTS = Object.freeze({
  ...ENTRY_DEFAULTS,
  name: 'cache',
  l1: Object.freeze({}),
  jitter: 0.1,
  earlyRefresh: false,
  storeTimeout: '250ms',
  maxPending: 10_000,
  lease: '10s',
  maxValueBytes: '1mb',
  compressAbove: false,
  maxQueuedInvalidations: 10_000,
  clock: wallClock,
})

export const resolveCacheOptions = defineOptions(
  'cache',
  'Cache',
  {
    ...ENTRY_CHECKS,
    name: string({ pattern: /^[\w.:-]{1,64}$/, like: 'up to 64 letters, digits and _ . : -' }),
    store: optional(having<CacheStore>('a store', 'open')),
    l1: orFalse(nested(L1_CHECKS, L1_DEFAULTS)),
    jitter: number({ min: 0, max: 1 }),
    earlyRefresh: orFalse(number({ min: 0 })),
    storeTimeout: duration({ min: 1 }),
    maxPending: integer({ min: 1 }),
    lease: duration({ min: 10 }),
    maxValueBytes: size({ min: 1 }),
    compressAbove: orFalse(size()),
    maxQueuedInvalidations: integer({ min: 1 }),
    clock: having<Clock>('a clock', 'now'),
  },
  DEFAULTS,
)

export type ResolvedCacheOptions = ReturnType<typeof resolveCacheOptions>

const CALL_CHECKS = {
  ...ENTRY_CHECKS,
  signal: optional(having<AbortSignal>('an AbortSignal', 'addEventListener')),
  refresh: boolean,
}

/** What one call works with. */
export interface ResolvedCall extends Omit<Resolved<typeof CALL_CHECKS>, 'signal' | 'refresh' | 'share'> {
  readonly share: Share
}

/** A resolver for the options of calls; it remembers objects, since most callers pass the same one again. */
export function callResolver(cache: ResolvedCacheOptions): (given: CallOptions | undefined) => ResolvedCall {
  const { ttl, swr, staleIfError, tags, errorTtl, loadTimeout, softTimeout, share } = cache
  const sharing = (given: typeof share): Share => (cache.l1 === false && given === 'freeze' ? 'own' : given)
  const rest = { ttl, swr, staleIfError, tags, errorTtl, loadTimeout, softTimeout }
  const defaults = Object.freeze({ ...rest, share: sharing(share) })
  const resolve = defineOptions('cache', 'getOrSet', CALL_CHECKS, { ...rest, share, refresh: false })
  const known = new WeakMap<object, ResolvedCall>()
  return (given) => {
    if (given === undefined) return defaults
    let resolved = known.get(given)
    if (resolved === undefined) {
      const call = resolve(given)
      resolved = { ...call, share: sharing(call.share) }
      if (Object.isFrozen(given)) known.set(given, resolved)
    }
    return resolved
  }
}
