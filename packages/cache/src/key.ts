import { misuse } from '@spillway/kit'

export type KeyPart = string | number | bigint | boolean | null
/** What names an entry. Types count: `1` and `'1'`, `['u', 1]` and `['u', '1']` are different keys. */
export type CacheKey = string | number | bigint | readonly KeyPart[]

/** Marks keys that are not plain strings, so that no string can be mistaken for one of them. */
const MARK = '\u0001'

/** The one string that stands for a key. A plain string stands for itself: the hit path must not build anything. */
export function encodeKey(key: CacheKey): string {
  if (typeof key === 'string') return key.charCodeAt(0) === 1 ? MARK + encodePart(key) : key
  if (Array.isArray(key)) return `${MARK}[${key.map(encodePart).join(',')}`
  return MARK + encodePart(key as KeyPart)
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
