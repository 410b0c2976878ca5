import type { Statement } from './statement.js'
import { format, hasBackslash, type LiteralStyle } from './values.js'

/** What the writing of literals needs to know of a session. */
export interface LiteralSession {
  readonly literalStyle: LiteralStyle
  /** A backslash in a literal means itself. */
  readonly backslashIsPlain: boolean
}

/**
 * The statement with its values in it, for this connection and this moment: the connection is the statement's own, and
 * everything before it has been answered.
 *
 * @throws TypeError `ERR_MYSQL_PARAMETER`
 */
export function textFor(
  session: LiteralSession,
  statement: Statement,
  values: readonly unknown[] | undefined,
  timezone: string,
): string {
  const { sql, scan, otherwise } = statement
  const literals = session.literalStyle
  // A literal in the wrong place must be harmless.
  if (scan.ambiguous || otherwise?.ambiguous) {
    return format(sql, session.backslashIsPlain ? (otherwise ?? scan) : scan, values, timezone, 'hex')
  }
  if (otherwise === undefined) {
    // The first of several statements may change how the next one is read.
    const safe = scan.several && literals !== 'hex' ? 'neutral' : literals
    return format(sql, scan, values, timezone, safe)
  }
  // Where its placeholders stand depends on the mode, too.
  const safe = literals === 'neutral' || scan.several ? 'hex' : literals
  return format(sql, session.backslashIsPlain ? otherwise : scan, values, timezone, safe)
}

/**
 * Whether the session should be asked for its mode before {@link textFor}: it is not sure, and a string has a backslash. A
 * hexadecimal literal would be right in either mode, but has another collation than a quoted one, so that the server might
 * refuse to compare the two.
 */
export function needsMode(
  session: LiteralSession,
  { scan }: Statement,
  values: readonly unknown[] | undefined,
): boolean {
  if (values === undefined || scan.several || scan.ambiguous) return false
  return session.literalStyle === 'neutral' && values.some(hasBackslash)
}
