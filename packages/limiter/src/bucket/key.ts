import { createHash } from 'node:crypto'
import { misuse } from '@spillway/kit'

/** The longest key that is kept as it is. */
const LONGEST_KEY = 64
/** So many UTF-16 code units are never more than {@link LONGEST_KEY} bytes. */
const SURELY_SHORT = 21

/**
 * A key as all tables keep it: itself, or its digest when it is longer than 64 characters, so that clients do not choose
 * how much memory their keys take. The digest is the same in all processes. With its 65 characters it is longer than any
 * key that is kept as it is, so no key can pass for the digest of another one.
 *
 * @throws TypeError `ERR_LIMITER_KEY` when the key is not a non-empty string
 */
export function keptKey(key: string): string {
  if (typeof key !== 'string' || key.length === 0) refuseKey(key)
  return boundedKey(key)
}

/** The key, or its digest when it is longer than 64 characters. */
export function boundedKey(key: string): string {
  return key.length > LONGEST_KEY ? digestOf(key) : key
}

/** @throws TypeError `ERR_LIMITER_KEY` */
function refuseKey(key: unknown): never {
  throw misuse(
    TypeError,
    'ERR_LIMITER_KEY',
    `A key must be a non-empty string, not ${key === '' ? "''" : typeof key}`,
  )
}

/**
 * A kept key as it goes over a wire, in UTF-8: the digest, too, of a short text of more than 64 bytes, and of a text with
 * lone surrogates, which would all be one character.
 */
export function wireKey(kept: string): string {
  const { length } = kept
  if (length > LONGEST_KEY) return kept
  const isShort = length <= SURELY_SHORT || Buffer.byteLength(kept) <= LONGEST_KEY
  return isShort && isWellFormed(kept) ? kept : digestOf(kept)
}

/**
 * A copy of a key that may be a part of a longer text, such as of a header of 16 kB. V8 makes such a part a reference to the
 * whole text, which a table would keep in memory as long as the key.
 */
export function unsliced(key: string): string {
  // Shorter parts are copies from the start; longer keys are kept as their digest.
  if (key.length < 13 || key.length > LONGEST_KEY) return key
  return Buffer.from(key, 'utf16le').toString('utf16le')
}

/** ES2024's `String.prototype.isWellFormed`, which Node 20 has: no lone surrogates. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed()
}

/** Over the UTF-16 code units: in UTF-8 all lone surrogates are one character. */
function digestOf(key: string): string {
  return `#${createHash('sha256').update(key, 'utf16le').digest('hex')}`
}
