import { connect, type Socket } from 'node:net'
import { Backoff } from '@spillway/kit'
import { StoreUnavailableError } from '../../errors.js'
import { MetaParser, MetaProtocolError, type MetaReply } from './meta-parser.js'

interface Pending {
  readonly resolve: (reply: MetaReply) => void
  readonly reject: (error: Error) => void
}

const CRLF = Buffer.from('\r\n')
/** Milliseconds before a new connection. */
const PAUSES = { first: 50, max: 1_000 }
/** Milliseconds without a byte, while an answer is due, after which a connection is given up. */
const SILENCE = 2_000
/** Answers that may be due at once. A server that owes more is given up. */
const MAX_PENDING = 100_000

/** One connection to one Memcached server, speaking the meta protocol. It reconnects by itself, and queues nothing. */
export class MemcachedConnection {
  readonly #host: string
  readonly #port: number
  readonly #onReady: () => void
  #socket: Socket | undefined
  #retry: NodeJS.Timeout | undefined
  readonly #pauses: Backoff
  #pending: Pending[] = []
  #parser = new MetaParser()
  #closed = false
  ready = false

  /** @param random spreads the new connections; a number from 0 up to 1 */
  constructor(host: string, port: number, onReady: () => void, random = Math.random) {
    this.#pauses = new Backoff({ ...PAUSES, random })
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
    if (this.#pending.length >= MAX_PENDING) {
      socket.destroy()
      return Promise.reject(this.#lost())
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
      this.#onReady()
    })
    socket.on('data', (chunk) => this.#receive(socket, chunk))
    socket.on('timeout', () => {
      if (this.#pending.length > 0 || !this.ready) socket.destroy()
    })
    socket.on('error', () => {}) // `close` follows
    socket.on('close', () => {
      this.#drop()
      if (this.#closed) return
      this.#retry = setTimeout(() => this.#connect(), this.#pauses.fail())
      this.#retry.unref()
    })
  }

  #drop(): void {
    this.ready = false
    this.#socket?.destroy()
    this.#socket = undefined
    this.#parser = new MetaParser()
    const pending = this.#pending
    this.#pending = []
    for (const { reject } of pending) reject(this.#lost())
  }

  #lost(): StoreUnavailableError {
    return new StoreUnavailableError(`Memcached ${this.#host}:${this.#port} has closed the connection`)
  }

  /** A server that does not speak the protocol loses its connection; the pause before the next one grows. */
  #receive(socket: Socket, chunk: Buffer): void {
    try {
      this.#parser.push(chunk, this.#settle)
    } catch {
      socket.destroy()
    }
  }

  readonly #settle = ({ code, flags, data }: MetaReply): void => {
    const pending = this.#pending.shift()
    if (pending === undefined) throw new MetaProtocolError('an answer to no question')
    this.#pauses.reset()
    if (code.endsWith('ERROR')) pending.reject(new MemcachedError(`${code} ${flags.join(' ')}`.trim()))
    else pending.resolve({ code, flags, data })
  }
}

/** What a server refuses: `SERVER_ERROR object too large for cache`. */
export class MemcachedError extends Error {}
