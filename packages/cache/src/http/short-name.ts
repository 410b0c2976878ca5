import { createHash } from 'node:crypto'

/** Longer texts are named by a digest: a client chooses how long a target is, and tables of names have a bound in bytes. */
const LONGEST = 200

/** A name for a text in a table of this process; no text that begins with `#` may be named. */
export function shortName(text: string): string {
  return text.length <= LONGEST ? text : `#${createHash('sha256').update(text).digest('base64url')}`
}
