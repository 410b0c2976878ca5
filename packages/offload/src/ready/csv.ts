import { misuse } from '@spillway/kit'
import type { TaskContext } from '../worker/context.js'

export interface ParseCsvInput {
  /** Text, or its UTF-8 bytes. */
  readonly csv: string | Uint8Array
  /** Default: `','`. */
  readonly delimiter?: string
  /** Names of the columns; then the first record is data. Default: the first record names them. */
  readonly columns?: readonly string[]
  /** Columns that hold numbers: they come as `Float64Array`, which is moved and not copied. An empty field is NaN. */
  readonly numbers?: readonly string[]
  /** Columns that are wanted; the others are dropped in the thread. Default: all. */
  readonly only?: readonly string[]
}

export interface CsvTable {
  /** Records. */
  readonly length: number
  /** By name, each with `length` values. Columns cross between threads for a fraction of what rows cost. */
  readonly columns: Readonly<Record<string, string[] | Float64Array>>
}

/**
 * Parses CSV (RFC 4180: quoted fields, doubled quotes, LF or CRLF) into columns. Missing fields are empty, surplus ones
 * dropped.
 *
 * @throws SyntaxError `ERR_OFFLOAD_CSV` for a quote that is never closed or that stands within a field, with its record
 */
export function parseCsv(input: ParseCsvInput, context: TaskContext): CsvTable {
  const { csv, delimiter = ',', numbers = [], only } = input
  const text = typeof csv === 'string' ? csv : new TextDecoder().decode(csv)
  const reader = new CsvReader(text.charCodeAt(0) === BOM ? text.slice(1) : text, delimiter)
  const names = input.columns ?? reader.record() ?? []
  const wanted = names.map((name) => only === undefined || only.includes(name))
  const values: string[][] = names.map(() => [])
  let length = 0
  for (let record = reader.record(); record !== undefined; record = reader.record()) {
    // A loop that never awaits: this is how it hears that nobody waits for it any more.
    if (length % CHECK_EVERY === 0) context.check()
    for (let i = 0; i < names.length; i++) if (wanted[i]) values[i]!.push(record[i] ?? '')
    length++
  }
  const columns: Record<string, string[] | Float64Array> = {}
  for (const [i, name] of names.entries()) {
    if (!wanted[i]) continue
    const own = values[i]!
    define(columns, name, numbers.includes(name) ? toNumbers(own, context) : own)
  }
  return { length, columns }
}

const BOM = 0xfeff
const QUOTE = 0x22
const NEWLINE = 0x0a
const RETURN = 0x0d
const CHECK_EVERY = 1_000

/** The next place of a text in another one, from a position that only goes on. Each place is searched for once. */
class Next {
  readonly #text: string
  readonly #what: string
  #at = -1

  constructor(text: string, what: string) {
    this.#text = text
    this.#what = what
  }

  /** The length of the text when there is none. */
  from(position: number): number {
    if (this.#at < position) {
      const found = this.#text.indexOf(this.#what, position)
      this.#at = found === -1 ? this.#text.length : found
    }
    return this.#at
  }
}

/** Reads record by record; jumps from delimiter to delimiter, and looks at single characters only around quotes. */
class CsvReader {
  readonly #text: string
  readonly #delimiter: string
  readonly #lineEnds: Next
  readonly #quotes: Next
  readonly #delimiters: Next
  #position = 0
  #record = 0

  constructor(text: string, delimiter: string) {
    this.#text = text
    this.#delimiter = delimiter
    this.#lineEnds = new Next(text, '\n')
    this.#quotes = new Next(text, '"')
    this.#delimiters = new Next(text, delimiter)
  }

  /** The next record that is not an empty line; `undefined` at the end. */
  record(): string[] | undefined {
    const text = this.#text
    while (this.#position < text.length) {
      this.#record++
      const lineEnd = this.#lineEnds.from(this.#position)
      const isQuoted = this.#quotes.from(this.#position) < lineEnd
      const record = isQuoted ? this.#quoted() : this.#plain(lineEnd)
      if (record.length > 1 || record[0] !== '') return record
    }
    return undefined
  }

  #plain(lineEnd: number): string[] {
    const end = this.#text.charCodeAt(lineEnd - 1) === RETURN ? lineEnd - 1 : lineEnd
    const line = this.#text.slice(this.#position, Math.max(end, this.#position))
    this.#position = lineEnd + 1
    return line.split(this.#delimiter)
  }

  #quoted(): string[] {
    const fields: string[] = []
    for (;;) {
      fields.push(this.#text.charCodeAt(this.#position) === QUOTE ? this.#quotedField() : this.#plainField())
      if (this.#text.startsWith(this.#delimiter, this.#position)) this.#position += this.#delimiter.length
      else break
    }
    if (this.#text.charCodeAt(this.#position) === RETURN) this.#position++
    if (this.#position < this.#text.length && this.#text.charCodeAt(this.#position) !== NEWLINE) {
      throw this.#syntax('has text after a closing quote')
    }
    this.#position++
    return fields
  }

  #quotedField(): string {
    const text = this.#text
    let start = this.#position + 1
    let field = ''
    for (;;) {
      const end = text.indexOf('"', start)
      if (end === -1) throw this.#syntax('opens a quote that is never closed')
      field += text.slice(start, end)
      if (text.charCodeAt(end + 1) !== QUOTE) {
        this.#position = end + 1
        return field
      }
      field += '"'
      start = end + 2
    }
  }

  #plainField(): string {
    const lineEnd = this.#lineEnds.from(this.#position)
    let end = Math.min(this.#delimiters.from(this.#position), lineEnd)
    if (end === lineEnd && this.#text.charCodeAt(end - 1) === RETURN) end--
    const field = this.#text.slice(this.#position, end)
    if (field.includes('"')) throw this.#syntax('has a quote within a field that is not quoted')
    this.#position = end
    return field
  }

  #syntax(problem: string): SyntaxError {
    return misuse(SyntaxError, 'ERR_OFFLOAD_CSV', `Record ${this.#record} of the CSV ${problem}`)
  }
}

function toNumbers(values: readonly string[], context: TaskContext): Float64Array {
  const numbers = Float64Array.from(values, (value) => (value.trim() === '' ? Number.NaN : Number(value)))
  context.transfer(numbers.buffer as ArrayBuffer)
  return numbers
}

/** A column may be called `__proto__`. */
function define<T>(record: Record<string, T>, name: string, value: T): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true })
}
