import type { FieldPacket } from 'mysql2'

/** The form of the rows of one call. */
export interface RowShape {
  /** Each row is a list of its values, so that columns of the same name do not hide each other. */
  readonly rowsAsArray?: boolean | undefined
  /** Each row is an object of objects, by table; a string: `table` + it + `column` is the name. */
  readonly nestTables?: boolean | string | undefined
}

/** Asks for rows as they come: see {@link asSent}. */
export const INTERNAL_ROWS: RowShape = Object.freeze({ rowsAsArray: false, nestTables: false })

/** Asks for an object for each row, by column, whatever the driver has been told. */
export const OBJECTS: RowShape = Object.freeze({ rowsAsArray: false, nestTables: false })

interface Column {
  readonly type: string
  /** Of its text, at most. */
  readonly length: number
  string(): string | null
}
type Cast = (column: Column, next: () => unknown) => unknown

/** A command of the driver, which tells its fields before it decides how to read rows. Its types do not show that. */
export interface RowCommand {
  options: { rowsAsArray?: unknown; nestTables?: unknown; typeCast?: unknown }
}

const DATETIME = 12
const TIMESTAMP = 7
/** Digits of a second that a Date has. */
const DATE_DIGITS = 3

// https://dev.mysql.com/doc/refman/8.0/en/storage-requirements.html: the text of a DATETIME without digits has 19 characters.
const SECONDS_END = 19
const LONGEST_EXACT = SECONDS_END + 1 + DATE_DIGITS

/** As they come: for statements of our own, whatever the user has told the driver. */
export function asSent(this: RowCommand): void {
  this.options.rowsAsArray = false
  this.options.nestTables = undefined
  this.options.typeCast = untouched
}

/** Dates with more digits than a Date has come as text. Costs a look at each column, and nothing for each row. */
export function exactly(this: RowCommand, fields: readonly FieldPacket[] | undefined): void {
  if (fields === undefined || this.options.typeCast !== true) return
  // Runs for each reply: a loop costs less than a closure.
  for (let i = 0; i < fields.length; i++) {
    if (!exceedsDate(fields[i]!)) continue
    this.options.typeCast = exactDates
    return
  }
}

/** The same, in the given shape. */
export function shaped({ rowsAsArray, nestTables }: RowShape, exact: boolean) {
  return function (this: RowCommand, fields: readonly FieldPacket[] | undefined): void {
    if (rowsAsArray !== undefined) this.options.rowsAsArray = rowsAsArray
    if (nestTables !== undefined) this.options.nestTables = nestTables === false ? undefined : nestTables
    if (exact) exactly.call(this, fields)
  }
}

/** What the driver is given as `typeCast` when BIGINT shall be a bigint: it reads a string, since it is told to. */
export function bigints(exact: boolean): Cast {
  return (column, next) => {
    if (exact && isExactDate(column)) return dateText(column)
    const value = next()
    return column.type === 'LONGLONG' && typeof value === 'string' ? BigInt(value) : value
  }
}

const untouched: Cast = (_column, next) => next()
const exactDates: Cast = (column, next) => (isExactDate(column) ? dateText(column) : next())

function exceedsDate({ columnType, columnLength }: FieldPacket): boolean {
  return (columnType === DATETIME || columnType === TIMESTAMP) && Number(columnLength) > LONGEST_EXACT
}

function isExactDate({ type, length }: Column): boolean {
  return (type === 'DATETIME' || type === 'TIMESTAMP') && length > LONGEST_EXACT
}

/** The binary protocol leaves digits out when all of them are 0. */
function dateText(column: Column): string | null {
  const text = column.string()
  if (text === null || text.length !== SECONDS_END) return text
  return `${text}.`.padEnd(Math.min(column.length, SECONDS_END + 1 + 6), '0')
}
