import { createHash } from 'node:crypto'
import { misuse } from '@spillway/kit'

export type KeyPart = string | number | bigint | boolean | null
/**
 * HitForMiss the keys of what the package itself stores. By a symbol, which no data from outside can hold; from the registry,
 * since an adapter of the ESM build may be given a cache of the CJS build.
 */
const OWN: unique symbol = Symbol.for('spillway.cache.key')

/** A key of the package itself. */
export interface OwnKey {
  readonly [OWN]: string
}

/** What names an entry. Types count: `1` and `'1'`, `['u', 1]` and `['u', '1']` are different keys. */
export type CacheKey = string | number | bigint | readonly KeyPart[] | OwnKey

/** HitForMiss keys that are not plain strings, so that no string can be mistaken for one of them. */
const MARK = '\u0001'

/** The one string that stands for a key. A plain string stands for itself: the hit path must not build anything. */
export function encodeKey(key: CacheKey): string {
  if (typeof key === 'string') return key.charCodeAt(0) === 1 ? MARK + encodePart(key) : key
  if (Array.isArray(key)) return `${MARK}[${key.map(encodePart).join(',')}`
  if (isOwn(key)) return key[OWN]
  return MARK + encodePart(key as KeyPart)
}

/**
 * A key in the package's own space, apart from that of the user: in an encoded key of a user's the mark is followed by `"`, `[`,
 * a number or a word like `null`, and never by `s`.
 */
export function ownKey(text: string): OwnKey {
  return { [OWN]: `${MARK}s${text}` }
}

function isOwn(key: unknown): key is OwnKey {
  return typeof key === 'object' && key !== null && OWN in key
}

function encodePart(part: KeyPart): string {
  switch (typeof part) {
    case 'string':
      return JSON.stringify(part)
    case 'number':
      if (Number.isNaN(part)) break
      return Object.is(part, -0) ? '0' : String(part)
    case 'bigint':
      return `${part}n`
    case 'boolean':
      return String(part)
    default:
      if (part === null) return 'null'
  }
  throw misuse(
    TypeError,
    'ERR_CACHE_KEY',
    `A cache key must be a string, a number, a bigint or an array of those, booleans and null, not ${String(part)}`,
  )
}

/** How much of a long key stays readable. */
const READABLE = 64

/**
 * A key as a store can hold it: printable ASCII without spaces and braces, not longer than `maxBytes` (at least 160).
 * What is escaped or shortened stays unique: `%` is escaped too, and a shortened key ends with a digest of the whole.
 */
export function storeKey(key: string, maxBytes: number): string {
  if (/^[\w.:/@,;=+*'"()[\]-]*$/.test(key) && key.length <= maxBytes) return key
  // `encodeURIComponent` throws for half a surrogate pair; the digest sees each code unit.
  const escaped = /\p{Surrogate}/u.test(key) ? undefined : encodeURIComponent(key)
  if (escaped !== undefined && escaped.length <= maxBytes) return escaped
  const digest = createHash('sha256').update(Buffer.from(key, 'utf16le')).digest('base64url')
  return `${(escaped ?? '').slice(0, READABLE)}%%${digest}`
}
