import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const CHUNK = 1024 ** 2
const QUOTE = 0x22
const COLON = 0x3a
const BACKSLASH = 0x5c
const MINUS = 0x2d
const CLOSE_BRACKET = 0x5d
/** V8's header has some kilobytes. */
const LONGEST_HEADER = CHUNK

/**
 * Reads a `.heapsnapshot` file from front to back without ever holding it as one text: a large one would not fit into a
 * string (512 MB), and its parsed form takes eight times the file. Synchronous: for a thread of its own.
 */
export class HeapFile {
  /** Bytes of the file. */
  readonly size: number
  readonly #fd: number
  readonly #buffer = Buffer.allocUnsafe(CHUNK)
  #position = 0
  #end = 0

  constructor(file: string) {
    this.#fd = openSync(file, 'r')
    this.size = fstatSync(this.#fd).size
  }

  close(): void {
    closeSync(this.#fd)
  }

  /** Everything up to the member `name` of the outermost object, as text. */
  textBefore(name: string): string {
    const end = Buffer.from(`"${name}":`)
    const bytes = Buffer.alloc(LONGEST_HEADER)
    for (let size = 0; size < LONGEST_HEADER; ) {
      const byte = this.#next()
      if (byte === -1) break
      bytes[size++] = byte
      if (byte === COLON && bytes.subarray(0, size).subarray(-end.length).equals(end)) {
        return bytes.toString('latin1', 0, size - end.length)
      }
    }
    throw new SyntaxError(`Not a heap snapshot: it has no "${name}"`)
  }

  /** Skips to the value of the member `name`; nothing before it may hold that name as a text. */
  skipTo(name: string): void {
    const bytes = Buffer.from(name)
    for (let byte = this.#next(); byte !== -1; byte = this.#next()) {
      if (byte === QUOTE && this.#rawString().equals(bytes)) return
    }
    throw new SyntaxError(`Not a heap snapshot: it has no "${name}"`)
  }

  /** Calls back with each number of an array. */
  numbers(take: (value: number, index: number) => void): void {
    let index = 0
    let value = -1
    let negative = false
    for (let byte = this.#next(); byte !== -1; byte = this.#next()) {
      if (byte >= 0x30 && byte <= 0x39) {
        value = (value === -1 ? 0 : value * 10) + byte - 0x30
        continue
      }
      if (value !== -1) take(negative ? -value : value, index++)
      value = -1
      negative = byte === MINUS
      if (byte === CLOSE_BRACKET) return
    }
    throw new SyntaxError('The heap snapshot ends too early')
  }

  /** Calls back with each string of an array that is `wanted`; the others are not even decoded. */
  strings(wanted: (index: number) => boolean, take: (value: string, index: number) => void): void {
    let index = 0
    for (let byte = this.#next(); byte !== -1; byte = this.#next()) {
      if (byte === CLOSE_BRACKET) return
      if (byte !== QUOTE) continue
      const raw = this.#rawString()
      if (wanted(index)) take(JSON.parse(`"${raw.toString('utf8')}"`), index)
      index++
    }
    throw new SyntaxError('The heap snapshot ends too early')
  }

  /** The bytes up to the closing quote, with their escapes. Valid until the next read. */
  #rawString(): Buffer {
    const parts: Buffer[] = []
    let start = this.#position
    for (;;) {
      if (this.#position === this.#end) {
        parts.push(Buffer.from(this.#buffer.subarray(start, this.#end)))
        this.#fill()
        start = 0
      }
      const byte = this.#buffer[this.#position++]
      if (byte === QUOTE) break
      if (byte !== BACKSLASH) continue
      // The escaped character may be a quote. It can stand in the next chunk.
      if (this.#position === this.#end) {
        parts.push(Buffer.from(this.#buffer.subarray(start, this.#end)))
        this.#fill()
        start = 0
      }
      this.#position++
    }
    const last = this.#buffer.subarray(start, this.#position - 1)
    return parts.length === 0 ? last : Buffer.concat([...parts, last])
  }

  #next(): number {
    if (this.#position === this.#end) {
      this.#end = readSync(this.#fd, this.#buffer, 0, CHUNK, null)
      this.#position = 0
      if (this.#end === 0) return -1
    }
    return this.#buffer[this.#position++]!
  }

  #fill(): void {
    this.#end = readSync(this.#fd, this.#buffer, 0, CHUNK, null)
    this.#position = 0
    if (this.#end === 0) throw new SyntaxError('The heap snapshot ends too early')
  }
}
