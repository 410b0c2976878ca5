import { escapeId, escape as escapeValue } from 'mysql2'
import { refuseParameter } from '../errors.js'
import type { Placeholder, Scan } from './scanner.js'
import type { Statement } from './statement.js'

/** One value of a statement. Objects are refused: say `JSON.stringify(value)` where JSON is meant. */
export type Scalar = string | number | bigint | boolean | Date | Uint8Array | null
/** A list stands for `IN (?)`; a list of lists for the rows of `VALUES ?`. */
export type Parameter = Scalar | readonly Scalar[] | readonly (readonly Scalar[])[]

/**
 * How strings are written into the text of a statement. A quote is always doubled.
 *
 * `escaped`: a backslash is doubled, too; for a session as this package has set it up, in which a backslash escapes.
 * `plain`: for such a session in which a backslash means itself.
 * `neutral`: a string with a backslash is hexadecimal, so that it means the same in either mode.
 * `hex`: every string is hexadecimal, for a session in which not even the character set is sure.
 */
export type LiteralStyle = 'escaped' | 'plain' | 'neutral' | 'hex'

/** What the writing of literals needs to know of a session. */
export interface LiteralSession {
  readonly literalStyle: LiteralStyle
  /** A backslash in a literal means itself. */
  readonly backslashIsPlain: boolean
}

export interface Prepared {
  readonly sql: string
  readonly values: readonly Scalar[] | undefined
}

/**
 * The statement for the binary protocol. Lists become as many placeholders as they have values; in `IN (?)` that number
 * is rounded up to a power of two by repeating the last value, so that lists of all lengths share a few statements.
 *
 * @throws TypeError `ERR_MYSQL_PARAMETER`
 */
export function prepare(
  sql: string,
  { pieces, placeholders }: Scan,
  values: readonly unknown[] | undefined,
): Prepared {
  checkCount(placeholders, values)
  if (values === undefined || values.length === 0) return { sql, values: undefined }
  let plain = true
  for (let i = 0; i < values.length; i++) {
    if (placeholders[i]!.name)
      refuseParameter(i, 'is a name (??), which a prepared statement cannot take: use query()')
    if (Array.isArray(values[i])) plain = false
    else checkScalar(values[i], i)
  }
  if (plain) return { sql, values: values as readonly Scalar[] }
  let text = pieces[0]!
  const flat: Scalar[] = []
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    text +=
      (Array.isArray(value) ? expand(value, placeholders[i]!, i, flat) : push(value as Scalar, flat)) +
      pieces[i + 1]!
  }
  return { sql: text, values: flat }
}

function push(value: Scalar, flat: Scalar[]): string {
  flat.push(value)
  return '?'
}

function expand(list: readonly unknown[], placeholder: Placeholder, index: number, flat: Scalar[]): string {
  if (list.length === 0) refuseEmpty(index)
  if (Array.isArray(list[0])) {
    return list
      .map((row, i) => {
        if (!Array.isArray(row)) return refuseParameter(index, `mixes lists and values, at [${i}]`)
        if (row.length === 0) refuseEmpty(index)
        return `(${row.map((value) => push(checkScalar(value, index), flat)).join(', ')})`
      })
      .join(', ')
  }
  for (const value of list) push(checkScalar(value, index), flat)
  let count = list.length
  if (placeholder.inList) {
    const last = flat[flat.length - 1]!
    const padded = 2 ** Math.ceil(Math.log2(count))
    for (; count < padded; count++) flat.push(last)
  }
  return new Array<string>(count).fill('?').join(', ')
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
 * Whether a session whose mode is not sure should be asked for it before {@link textFor}: a string has a backslash. A
 * hexadecimal literal would be right in either mode, but has another collation than a quoted one, so that the server might
 * refuse to compare the two.
 */
export function needsMode({ scan }: Statement, values: readonly unknown[] | undefined): boolean {
  return values !== undefined && !scan.several && !scan.ambiguous && values.some(hasBackslash)
}

/**
 * The statement for the text protocol, with its values in it.
 *
 * @param timezone `Z`, `local` or `+hh:mm`, for dates
 * @throws TypeError `ERR_MYSQL_PARAMETER`
 */
export function format(
  sql: string,
  { pieces, placeholders }: Scan,
  values: readonly unknown[] | undefined,
  timezone: string,
  how: LiteralStyle,
): string {
  checkCount(placeholders, values)
  if (values === undefined || values.length === 0) return sql
  // Of one collation, so that the server can compare them with each other.
  if (how === 'neutral' && values.some(hasBackslash)) how = 'hex'
  let text = pieces[0]!
  for (let i = 0; i < values.length; i++) {
    text +=
      (placeholders[i]!.name ? nameFor(values[i], i, how) : literal(values[i], i, timezone, how)) +
      pieces[i + 1]!
  }
  return text
}

/** Whether a value has a string with a backslash in it. */
function hasBackslash(value: unknown): boolean {
  return typeof value === 'string' ? value.includes('\\') : Array.isArray(value) && value.some(hasBackslash)
}

/** Refuses what {@link format} would refuse, before a connection is taken for it. */
export function checkText(
  { scan, otherwise }: Pick<Statement, 'scan' | 'otherwise'>,
  values: readonly unknown[] | undefined,
): void {
  const fits = otherwise !== undefined && otherwise.placeholders.length === values?.length
  const { placeholders } = fits ? otherwise : scan
  checkCount(placeholders, values)
  for (let i = 0; i < placeholders.length; i++) {
    if (placeholders[i]!.name) nameOf(values![i], i)
    else checkParameter(values![i], i)
  }
}

function checkParameter(value: unknown, index: number): void {
  if (!Array.isArray(value)) checkScalar(value, index)
  else if (value.length === 0) refuseEmpty(index)
  else for (const item of value) checkParameter(item, index)
}

function literal(value: unknown, index: number, timezone: string, how: LiteralStyle): string {
  if (!Array.isArray(value)) return written(checkScalar(value, index), timezone, how)
  if (value.length === 0) refuseEmpty(index)
  return value
    .map((item) =>
      Array.isArray(item)
        ? `(${literal(item, index, timezone, how)})`
        : written(checkScalar(item, index), timezone, how),
    )
    .join(', ')
}

function written(value: Scalar, timezone: string, how: LiteralStyle): string {
  if (typeof value === 'string') return quoted(value, how)
  if (value instanceof Uint8Array)
    return `X'${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}'`
  return escapeValue(value, true, timezone as Parameters<typeof escapeValue>[2])
}

/** Nothing but the quote and the backslash has a meaning in a literal; the protocol counts bytes, and bears the rest. */
function quoted(text: string, how: LiteralStyle): string {
  if (how === 'hex') return hexadecimal(text)
  const safe = text.includes("'") ? text.replaceAll("'", "''") : text
  if (how === 'plain' || !text.includes('\\')) return `'${safe}'`
  return how === 'escaped' ? `'${safe.replaceAll('\\', '\\\\')}'` : hexadecimal(text)
}

/** Text, as a quoted literal is, and not bytes. */
function hexadecimal(text: string): string {
  return `_utf8mb4 X'${Buffer.from(text).toString('hex')}'`
}

/** In GBK and its like a backtick may be half of a character, as a backslash may, and a name has no hexadecimal form. */
function nameFor(value: unknown, index: number, how: LiteralStyle): string {
  const name = nameOf(value, index)
  if (how === 'hex' && (Buffer.byteLength(name) !== name.length || /['"\\]/.test(name))) {
    refuseParameter(
      index,
      'is a name (??) beyond ASCII or with a quote, in a text or on a connection that can be read in several ways',
    )
  }
  return name
}

function nameOf(value: unknown, index: number): string {
  if (typeof value !== 'string' || value === '')
    refuseParameter(index, 'is a name (??) and must be a non-empty string')
  return escapeId(value)
}

function checkCount(placeholders: readonly Placeholder[], values: readonly unknown[] | undefined): void {
  if (values !== undefined && !Array.isArray(values)) {
    refuseParameter(
      undefined,
      typeof values === 'function'
        ? 'Values must be an array, not a function: a callback is never called, await the promise instead'
        : 'Values must be an array',
    )
  }
  const given = values?.length ?? 0
  if (given !== placeholders.length) {
    refuseParameter(
      undefined,
      `The statement has ${placeholders.length} placeholders and got ${given} values`,
    )
  }
}

function checkScalar(value: unknown, index: number): Scalar {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return value
    case 'number':
      if (Number.isFinite(value)) return value
      return refuseParameter(index, `is ${value}, which SQL does not know`)
    case 'object':
      if (value === null) return null
      if (value instanceof Uint8Array) return value
      if (value instanceof Date) {
        if (!Number.isNaN(value.getTime())) return value
        return refuseParameter(index, 'is an invalid Date')
      }
      return refuseParameter(
        index,
        `is ${nounOf(value)}; values are strings, numbers, bigints, booleans, dates, bytes or null`,
      )
    case 'undefined':
      return refuseParameter(index, 'is undefined; say null for NULL')
    default:
      return refuseParameter(index, `is a ${typeof value}`)
  }
}

function nounOf(value: object): string {
  if (Array.isArray(value)) return 'a list in a list of lists'
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name
  return name === undefined || name === 'Object' ? 'an object' : `an object (${String(name)})`
}

function refuseEmpty(index: number): never {
  return refuseParameter(index, 'is an empty list, for which SQL has no expression: decide before the query')
}
