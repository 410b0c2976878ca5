import { createHash } from 'node:crypto'
import { refuseKey } from '../errors.js'

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
  return key.length <= LONGEST_KEY ? key : digestOf(key)
}

/** A kept key as it goes over a wire, where bytes count: the digest, too, for a short text of more than 64 bytes. */
export function wireKey(kept: string): string {
  const { length } = kept
  if (length <= SURELY_SHORT || length > LONGEST_KEY || Buffer.byteLength(kept) <= LONGEST_KEY) return kept
  return digestOf(kept)
}

/** Over the UTF-16 code units: in UTF-8 all lone surrogates are one character. */
function digestOf(key: string): string {
  return `#${createHash('sha256').update(key, 'utf16le').digest('hex')}`
}
