import { createHash } from 'node:crypto'

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
