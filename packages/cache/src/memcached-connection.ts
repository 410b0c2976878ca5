import { connect, type Socket } from 'node:net'
import { StoreUnavailableError } from './errors.js'

/** The answer to a meta command: `HD`, `VA`, `EN`, `NS`, `EX`, `NF`, `MN`, its flags, and the value of a `VA`. */
export interface MetaReply {
  readonly code: string
  readonly flags: readonly string[]
  readonly data: Buffer | undefined
}

interface Pending {
  readonly resolve: (reply: MetaReply) => void
  readonly reject: (error: Error) => void
}

const CRLF = Buffer.from('\r\n')
const FIRST_PAUSE = 50
const MAX_PAUSE = 1_000
/** Milliseconds without a byte, while an answer is due, after which a connection is given up. */
const SILENCE = 2_000

/** One connection to one Memcached server, speaking the meta protocol. It reconnects by itself, and queues nothing. */
export class MemcachedConnection {
  readonly #host: string
  readonly #port: number
  readonly #onReady: () => void
  #socket: Socket | undefined
  #retry: NodeJS.Timeout | undefined
  #pause = FIRST_PAUSE
  #pending: Pending[] = []
  #chunks: Buffer[] = []
  #length = 0
  /** Bytes without which there is no point in looking again. */
  #needed = 0
  #closed = false
  ready = false

  constructor(host: string, port: number, onReady: () => void) {
    this.#host = host
    this.#port = port
    this.#onReady = onReady
    this.#connect()
  }

  /** @throws StoreUnavailableError when it is not connected, or loses the connection before the answer */
  send(line: string, data?: Buffer): Promise<MetaReply> {
    const socket = this.#socket
    if (socket === undefined || !this.ready) {
      return Promise.reject(
        new StoreUnavailableError(`Memcached ${this.#host}:${this.#port} is not connected`),
      )
    }
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject })
      if (data === undefined) socket.write(`${line}\r\n`)
      else socket.write(Buffer.concat([Buffer.from(`${line}\r\n`), data, CRLF]))
    })
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#drop()
  }

  #connect(): void {
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true, timeout: SILENCE })
    this.#socket = socket
    socket.unref() // who waits for an answer has a deadline that keeps the process alive
    socket.on('connect', () => {
      this.ready = true
      this.#pause = FIRST_PAUSE
      this.#onReady()
    })
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('timeout', () => {
      if (this.#pending.length > 0 || !this.ready) socket.destroy()
    })
    socket.on('error', () => {}) // `close` follows
    socket.on('close', () => {
      this.#drop()
      if (this.#closed) return
      this.#retry = setTimeout(() => this.#connect(), this.#pause * (0.75 + Math.random() / 2))
      this.#retry.unref()
      this.#pause = Math.min(this.#pause * 2, MAX_PAUSE)
    })
  }

  #drop(): void {
    this.ready = false
    this.#socket?.destroy()
    this.#socket = undefined
    this.#chunks = []
    this.#length = 0
    this.#needed = 0
    const pending = this.#pending
    this.#pending = []
    for (const { reject } of pending) {
      reject(new StoreUnavailableError(`Memcached ${this.#host}:${this.#port} has closed the connection`))
    }
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#length += chunk.length
    if (this.#length < this.#needed) return
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#length)
    let at = 0
    for (;;) {
      const end = bytes.indexOf(CRLF, at)
      if (end === -1) break
      const [code = '', ...words] = bytes.toString('latin1', at, end).split(' ')
      let data: Buffer | undefined
      let next = end + 2
      if (code === 'VA') {
        const size = Number(words.shift())
        if (next + size + 2 > bytes.length) {
          this.#needed = next + size + 2 - at
          break
        }
        data = bytes.subarray(next, next + size)
        next += size + 2
      }
      this.#needed = 0
      at = next
      this.#settle(code, words, data)
    }
    const rest = bytes.subarray(at)
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#length = rest.length
  }

  #settle(code: string, flags: readonly string[], data: Buffer | undefined): void {
    const pending = this.#pending.shift()
    if (/ERROR$/.test(code)) pending?.reject(new MemcachedError(`${code} ${flags.join(' ')}`.trim()))
    else pending?.resolve({ code, flags, data })
  }
}

/** What a server refuses: `SERVER_ERROR object too large for cache`. */
export class MemcachedError extends Error {}
