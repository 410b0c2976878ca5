/** The answer to a meta command: `HD`, `VA`, `EN`, `NS`, `EX`, `NF`, `MN`, its flags, and the value of a `VA`. */
export interface MetaReply {
  readonly code: string
  readonly flags: readonly string[]
  readonly data: Buffer | undefined
}

/** The bytes of a server that does not speak the protocol. Nothing after them can be trusted: the connection must go. */
export class MetaProtocolError extends Error {}

const CRLF = Buffer.from('\r\n')
/** Bytes of a line without its end. Memcached itself writes no line above 2,048. */
const MAX_LINE = 2_048
/** Bytes of a value. Memcached takes items of 1 MB, or what its `-I` says. */
const MAX_VALUE = 128 * 1024 ** 2
const CODES: ReadonlySet<string> = new Set([
  'HD',
  'VA',
  'EN',
  'NS',
  'EX',
  'NF',
  'MN',
  'ERROR',
  'CLIENT_ERROR',
  'SERVER_ERROR',
])

/**
 * A parser of Memcached's meta protocol for the bytes of one connection. A server is trusted with nothing: codes, sizes
 * and line ends are checked, and what is buffered is bounded. Each byte is looked at a constant number of times, however
 * the bytes are cut into chunks.
 */
export class MetaParser {
  #chunks: Buffer[] = []
  #length = 0
  /** Bytes without which there is no point in looking again. */
  #needed = 0

  /**
   * Takes the next bytes and reports each reply that is complete.
   *
   * @throws MetaProtocolError when the bytes are not of the protocol, or a line or a value is too long
   */
  push(chunk: Buffer, onReply: (reply: MetaReply) => void): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    if (this.#length < this.#needed) return
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#length)
    this.#needed = 0
    let at = 0
    for (;;) {
      const end = lineEnd(bytes, at)
      if (end === -1) break
      const [code = '', ...words] = bytes.toString('latin1', at, end).split(' ')
      if (!CODES.has(code)) throw new MetaProtocolError('an unknown code')
      let next = end + CRLF.length
      let data: Buffer | undefined
      if (code === 'VA') {
        const size = sizeIn(words.shift())
        const dataEnd = next + size
        if (dataEnd + CRLF.length > bytes.length) {
          this.#needed = dataEnd + CRLF.length - at
          break
        }
        if (bytes[dataEnd] !== CRLF[0] || bytes[dataEnd + 1] !== CRLF[1]) {
          throw new MetaProtocolError('a value without its end')
        }
        data = bytes.subarray(next, dataEnd)
        next = dataEnd + CRLF.length
      }
      at = next
      onReply({ code, flags: words, data })
    }
    const rest = bytes.subarray(at)
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#length = rest.length
  }
}

/** Where the line that begins at `start` ends; -1: not here yet. */
function lineEnd(bytes: Buffer, start: number): number {
  const end = bytes.subarray(start, start + MAX_LINE + CRLF.length).indexOf(CRLF)
  if (end === -1 && bytes.length - start >= MAX_LINE + CRLF.length) {
    throw new MetaProtocolError('a line without end')
  }
  return end === -1 ? -1 : start + end
}

function sizeIn(word: string | undefined): number {
  const size = word !== undefined && /^\d{1,9}$/.test(word) ? Number(word) : Number.NaN
  if (!(size <= MAX_VALUE)) throw new MetaProtocolError('a value of an impossible size')
  return size
}
