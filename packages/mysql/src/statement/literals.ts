import type { Link } from '../connection/driver-connection.js'
import type { Statement } from './statement.js'
import { format, hasBackslash } from './values.js'

/**
 * How strings are written into the text of a statement. A quote is always doubled.
 *
 * `escaped`: a backslash is doubled, too; for a session as this package has set it up, in which a backslash escapes.
 * `plain`: for such a session in which a backslash means itself.
 * `neutral`: a string with a backslash is hexadecimal, so that it means the same in either mode.
 * `hex`: every string is hexadecimal, for a session in which not even the character set is sure.
 */
export type Literals = 'escaped' | 'plain' | 'neutral' | 'hex'

/**
 * The statement with its values in it, for this connection and this moment: the connection is the statement's own, and
 * everything before it has been answered.
 *
 * @throws TypeError `ERR_MYSQL_PARAMETER`
 */
export function textFor(
  link: Link,
  statement: Statement,
  values: readonly unknown[] | undefined,
  timezone: string,
): string {
  const { sql, scan, otherwise } = statement
  const literals = link.text.literals(link.dirty)
  // A literal in the wrong place must be harmless.
  if (scan.ambiguous || otherwise?.ambiguous) {
    return format(sql, link.text.backslashIsPlain ? (otherwise ?? scan) : scan, values, timezone, 'hex')
  }
  if (otherwise === undefined) {
    // The first of several statements may change how the next one is read.
    const safe = scan.several && literals !== 'hex' ? 'neutral' : literals
    return format(sql, scan, values, timezone, safe)
  }
  // Where its placeholders stand depends on the mode, too.
  const safe = literals === 'neutral' || scan.several ? 'hex' : literals
  return format(sql, link.text.backslashIsPlain ? otherwise : scan, values, timezone, safe)
}

/**
 * Whether the session should be asked for its mode before {@link textFor}: it is not sure, and a string has a backslash. A
 * hexadecimal literal would be right in either mode, but has another collation than a quoted one, so that the server might
 * refuse to compare the two.
 */
export function needsMode(link: Link, { scan }: Statement, values: readonly unknown[] | undefined): boolean {
  if (values === undefined || scan.several || scan.ambiguous) return false
  return link.text.literals(link.dirty) === 'neutral' && values.some(hasBackslash)
}
