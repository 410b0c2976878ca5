import type { Share } from '../options.js'
import { clonePlain, deepClone, deepCloneToKeep } from './clone.js'
import type { Shape } from './codec.js'

/** What is known about an entry's times, in milliseconds since 1970. */
export interface Times {
  readonly created: number
  readonly freshUntil: number
  /** Until then it may be served while it is refreshed in the background. */
  readonly swrUntil: number
  /** Until then it may be served when the load fails. It ends there. */
  readonly staleUntil: number
  /** Milliseconds that the load took. */
  readonly loadMs: number
}

export interface Leniency {
  readonly swr: number | false
  readonly staleIfError: number | false
}

/**
 * - `fresh`: serve it
 * - `early`: serve it, and refresh it already now, since it is hot and costly
 * - `revalidate`: serve it, and refresh it in the background
 * - `failover`: load; serve it only when that fails or takes too long
 * - `dead`: of no use
 */
export type Freshness = 'fresh' | 'early' | 'revalidate' | 'failover' | 'dead'

/** Early refresh happens in this last part of the lifetime only. */
const EARLY_SHARE = 0.2

/** The moment from which an early refresh is considered. */
export function earlyFrom({ created, freshUntil }: Times): number {
  return freshUntil - (freshUntil - created) * EARLY_SHARE
}

/**
 * Where an entry stands now. Early refresh is XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache
 * Stampede Prevention", VLDB 2015.
 *
 * @param beta how eager early refresh is; `false`: never
 */
export function freshnessOf(
  times: Times,
  { swr, staleIfError }: Leniency,
  now: number,
  beta: number | false,
): Freshness {
  if (now < times.freshUntil) {
    if (beta === false || now < earlyFrom(times)) return 'fresh'
    return now - times.loadMs * beta * Math.log(1 - Math.random()) >= times.freshUntil ? 'early' : 'fresh'
  }
  if (now >= times.staleUntil) return 'dead'
  const late = now - times.freshUntil
  if (swr !== false && late < swr && now < times.swrUntil) return 'revalidate'
  return staleIfError !== false && late < staleIfError ? 'failover' : 'dead'
}

/** The times of an entry made now. */
export function timesOf(
  ttl: number,
  { swr, staleIfError }: Leniency,
  now: number,
  jitter: number,
  loadMs: number,
): Times {
  // Only shortened, and never to nothing: the ttl stays what it promises, an upper bound.
  const freshUntil = now + Math.max(1, ttl * (1 - jitter * Math.random()))
  const swrUntil = freshUntil + (swr || 0)
  return {
    created: now,
    freshUntil,
    swrUntil,
    staleUntil: Math.max(swrUntil, freshUntil + (staleIfError || 0)),
    loadMs,
  }
}

/** Entry of the first tier: a value with its times, and how callers get at it. */
export interface L1Entry extends Times {
  readonly value: unknown
  /** JSON keeps it as it is, and freezing protects it. */
  readonly plain: boolean
  /** Each caller needs a copy of its own. */
  readonly copied: boolean
  /** `share: 'own'`: nothing keeps the value, so that the last waiter gets it without a copy. */
  readonly own: boolean
  /** Handed out by hits, so that a hit allocates nothing; made by the first. */
  promise: Promise<unknown> | undefined
  readonly bytes: number
  /** Until then, and while `clock` is current, a hit needs no second look. */
  hotUntil: number
  /** From then on it is to be compared with the store. */
  verifyAt: number
  readonly tags: readonly string[]
  /** The id of the entry in the store, `''` when it is not there. */
  id: string
  /** The fence's clock when it was last found valid. */
  clock: number
}

export interface Material extends Pick<L1Entry, 'value' | 'tags' | 'id' | 'clock'> {
  /** Not spread into this object: V8 builds an object that begins with a spread many times slower than a literal. */
  readonly shape: Shape
  /** Somebody outside holds the value, and could change it later. */
  readonly known: boolean
}

/** Makes an entry that no caller can harm. */
export function createEntry(material: Material, times: Times, share: Share): L1Entry {
  const { value, shape, known } = material
  const { plain, loose } = shape
  const freeze = known ? deepFreeze : freezeNew
  const copied = share === 'clone' || share === 'own' || (share === 'freeze' && !plain)
  return {
    value:
      share === 'freeze' && plain
        ? freeze(value)
        : copied && (known || loose) && share !== 'own'
          ? copyToKeep(value, plain)
          : value,
    plain,
    copied,
    own: share === 'own',
    promise: undefined,
    bytes: share === 'reference' ? shape.retained : shape.bytes,
    hotUntil: 0,
    verifyAt: 0,
    created: times.created,
    freshUntil: times.freshUntil,
    swrUntil: times.swrUntil,
    staleUntil: times.staleUntil,
    loadMs: times.loadMs,
    tags: material.tags,
    id: material.id,
    clock: material.clock,
  }
}

/** A copy that shares nothing with the value. */
export function copyOf({ value, plain }: Pick<L1Entry, 'value' | 'plain'>): unknown {
  return plain ? clonePlain(value) : deepClone(value)
}

function copyToKeep(value: unknown, plain: boolean): unknown {
  return plain ? clonePlain(value) : deepCloneToKeep(value)
}

/** The value for one caller. */
export function copyFor(held: L1Entry): unknown {
  return held.copied ? copyOf(held) : held.value
}

/** The value for the last caller who will ever ask for it. */
export function moveOut(held: L1Entry): unknown {
  return held.own ? held.value : copyFor(held)
}

/** The value for one caller, as a promise. */
export function promiseOf(held: L1Entry): Promise<unknown> {
  if (held.copied) return Promise.resolve(copyOf(held))
  held.promise ??= Promise.resolve(held.value)
  return held.promise
}

/** Freezes plain data all the way down. Objects that are frozen already are taken to be frozen below, too. */
function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const name in value) deepFreeze(value[name])
  }
  return value
}

/** The same for data that were made just now, of which nothing is frozen yet. */
function freezeNew<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) for (let i = 0; i < value.length; i++) freezeNew(value[i])
  else for (const name in value) freezeNew(value[name])
  return Object.freeze(value)
}
