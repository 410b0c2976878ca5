import type { ConnectionOptions } from 'mysql2'
import driver from 'mysql2'

/** How a session is told about its character set, and what the driver calls it. */
export interface Charset {
  /** Behind SET: `NAMES utf8mb4 COLLATE utf8mb4_unicode_ci`. */
  readonly names: string
  /** As the server reports `character_set_client`. */
  readonly client: string
  readonly driver: NonNullable<ConnectionOptions['charset']>
}

/**
 * Character sets in which a byte of ASCII may be the second half of another character, or another character by itself:
 * a backslash or a quote in the text of a statement would not be where this package has put it.
 */
const UNSAFE = new Set([
  'big5',
  'cp932',
  'gb18030',
  'gbk',
  'sjis',
  'swe7',
  'ucs2',
  'utf16',
  'utf16le',
  'utf32',
])

/** `undefined` when there is no such character set or collation, or none that is safe. */
export function charsetOf(name: string): Charset | undefined {
  const known = name.toUpperCase()
  // Node finds it on the whole module only: the driver defines it by a getter.
  if (!Object.hasOwn(driver.Charsets, known)) return undefined
  const lower = name.toLowerCase()
  const end = lower.indexOf('_')
  const client = end === -1 ? lower : lower.slice(0, end)
  if (UNSAFE.has(client)) return undefined
  const names = end === -1 ? `NAMES ${client}` : `NAMES ${client} COLLATE ${lower}`
  return { names, client, driver: known }
}
