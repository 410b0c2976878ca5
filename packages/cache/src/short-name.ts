import { createHash } from 'node:crypto'

/** Longer texts are named by a digest: whoever chooses a text chooses its length, and tables of names have a bound in bytes. */
const LONGEST = 200

/**
 * A name of at most 200 characters for a text, as the key of a table in this process. Two texts have two names: a text that
 * looks like a digest is named by its own digest.
 */
export function shortName(text: string): string {
  if (text.length <= LONGEST && !text.startsWith('#')) return text
  return `#${createHash('sha256').update(text).digest('base64url')}`
}
