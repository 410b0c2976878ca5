import { connect as connectTo, createServer, type Server as NetServer, type Socket } from 'node:net'
import { freePort, HOST } from './ports.js'

/**
 * What the proxy does with connections, existing and new:
 * `pass` hands everything on; `delay` hands each piece on later; `stall` accepts and swallows, both ways, and keeps the
 * sockets open; `cut` resets a connection in the middle of the server's reply; `refuse` does not listen.
 */
export type ProxyMode = 'pass' | 'delay' | 'stall' | 'cut' | 'refuse'

export interface ProxyOptions {
  readonly target: { readonly host?: string; readonly port: number }
  /** The port. Default: a free one. */
  readonly port?: number
}

export interface ProxyStats {
  /** Connections that clients have opened so far. */
  readonly connections: number
  /** Those of them that are open. */
  readonly open: number
  /** Bytes taken from clients. */
  readonly bytesUp: number
  /** Bytes taken from the target. */
  readonly bytesDown: number
  /** Connections reset by `cut`. */
  readonly cuts: number
}

interface Link {
  readonly client: Socket
  readonly upstream: Socket
}

/** A TCP proxy whose behaviour can be switched while connections are open. */
export class FaultProxy implements AsyncDisposable {
  readonly host = HOST
  readonly #target: ProxyOptions['target']
  readonly #links = new Set<Link>()
  #server: NetServer | undefined
  #port: number
  #mode: ProxyMode = 'pass'
  #delay = 0
  #bytesUntilCut = 0
  #connections = 0
  #bytesUp = 0
  #bytesDown = 0
  #cuts = 0

  constructor({ target, port = 0 }: ProxyOptions) {
    this.#target = target
    this.#port = port
  }

  get port(): number {
    return this.#port
  }

  get mode(): ProxyMode {
    return this.#mode
  }

  /** `redis://127.0.0.1:<port>` for the scheme `redis`, and so on. */
  url(scheme = 'tcp'): string {
    return `${scheme}://${this.host}:${this.port}`
  }

  async start(): Promise<this> {
    for (let attempt = 1; ; attempt++) {
      const chosen = this.#port === 0
      const port = chosen ? await freePort() : this.#port
      try {
        await this.#listen(port)
        this.#port = port
        return this
      } catch (error) {
        if (!chosen || attempt === 8) throw error
      }
    }
  }

  /** Everything is handed on. */
  async pass(): Promise<void> {
    await this.#switch('pass')
  }

  /** Each piece arrives `milliseconds` later, in either direction. */
  async delay(milliseconds: number): Promise<void> {
    this.#delay = milliseconds
    await this.#switch('delay')
  }

  /** The sockets stay open and what comes is swallowed. A connection that has lost bytes so is of no more use. */
  async stall(): Promise<void> {
    await this.#switch('stall')
  }

  /**
   * The connection over which the target sends its n-th byte from now is reset after that byte; then everything passes.
   * A client that reads the last bytes and the reset in one go sees a plain end instead of ECONNRESET: so does libuv.
   */
  async cutAfter(bytes: number): Promise<void> {
    this.#bytesUntilCut = bytes
    await this.#switch('cut')
  }

  /** Stops listening and resets what is open. */
  async refuse(): Promise<void> {
    await this.#switch('refuse')
  }

  /** Resets the open connections; new ones are served as before. Tells how many. */
  dropConnections(): number {
    const dropped = this.#links.size
    for (const link of this.#links) this.#reset(link)
    return dropped
  }

  stats(): ProxyStats {
    return {
      connections: this.#connections,
      open: this.#links.size,
      bytesUp: this.#bytesUp,
      bytesDown: this.#bytesDown,
      cuts: this.#cuts,
    }
  }

  async close(): Promise<void> {
    await this.#unlisten()
    this.dropConnections()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #switch(mode: ProxyMode): Promise<void> {
    this.#mode = mode
    if (mode === 'refuse') await this.close()
    else if (this.#server === undefined) await this.#listen(this.#port)
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      // A half-closed connection is handed on as one, so each end closes for itself.
      const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => this.#connect(client))
      server.once('error', reject)
      server.listen(port, this.host, () => {
        server.off('error', reject)
        this.#server = server
        resolve()
      })
    })
  }

  #unlisten(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    return new Promise((resolve) => {
      if (server === undefined) return resolve()
      // The callback waits for the connections, too; this stops the listening at once and they are reset after.
      server.close()
      resolve()
    })
  }

  #connect(client: Socket): void {
    this.#connections++
    const upstream = connectTo({
      host: this.#target.host ?? HOST,
      port: this.#target.port,
      noDelay: true,
      allowHalfOpen: true,
    })
    const link = { client, upstream }
    this.#links.add(link)
    client.on('data', (bytes) => {
      this.#bytesUp += bytes.length
      this.#forward(bytes, client, upstream)
    })
    upstream.on('data', (bytes) => {
      this.#bytesDown += bytes.length
      if (this.#mode === 'cut') this.#cut(bytes, link)
      else this.#forward(bytes, upstream, client)
    })
    client.on('end', () => this.#later(() => upstream.end()))
    upstream.on('end', () => this.#later(() => client.end()))
    for (const socket of [client, upstream]) {
      socket.on('error', () => this.#reset(link))
      socket.on('close', () => {
        if (client.destroyed && upstream.destroyed) this.#links.delete(link)
      })
    }
  }

  #forward(bytes: Buffer, from: Socket, to: Socket): void {
    if (this.#mode === 'stall') return
    this.#later(() => {
      if (to.destroyed || to.write(bytes)) return
      from.pause()
      to.once('drain', () => from.resume())
    })
  }

  /** Timers of one length fire in the order in which they were made, so the pieces keep theirs. */
  #later(hand: () => void): void {
    if (this.#mode === 'delay') setTimeout(hand, this.#delay)
    else if (this.#mode !== 'stall') hand()
  }

  #cut(bytes: Buffer, link: Link): void {
    if (bytes.length < this.#bytesUntilCut) {
      this.#bytesUntilCut -= bytes.length
      link.client.write(bytes)
      return
    }
    const last = bytes.subarray(0, this.#bytesUntilCut)
    this.#cuts++
    this.#mode = 'pass'
    // What the target sends while the last byte is on its way must not follow it.
    link.upstream.pause()
    link.client.write(last, () => this.#reset(link))
  }

  #reset({ client, upstream }: Link): void {
    reset(client)
    reset(upstream)
  }
}

/** A reset at once: `resetAndDestroy` alone first waits for unsent bytes, and says a polite goodbye (FIN) before. */
function reset(socket: Socket): void {
  socket._final = (done) => done()
  socket.resetAndDestroy()
  socket.destroy()
}

/** Starts a proxy in mode `pass`. */
export function startProxy(options: ProxyOptions): Promise<FaultProxy> {
  return new FaultProxy(options).start()
}
