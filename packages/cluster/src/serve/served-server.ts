import type { Server as HttpServer } from 'node:http'
import { Server } from 'node:net'
import { drainWithin, monotonicClock } from '@spillway/kit'
import { Connections } from '../connections/connections.js'
import type { FollowedServer, Runtime } from '../worker/runtime.js'

/** How long a connection that was just in use may bring its next request when the service stops. Milliseconds. */
const LINGER = 1_000

/** A listening server and the way to end it without losing a request. Until then the server behaves as without it. */
export class ServedServer implements FollowedServer {
  readonly server: Server
  readonly connections: Connections
  readonly #host: Runtime
  readonly #cut = new AbortController()
  #drained: Promise<number> | undefined

  constructor(server: Server, host: Runtime) {
    this.server = server
    this.connections = new Connections(server, monotonicClock)
    this.#host = host
  }

  /** The one for this server; one of another copy of this package will do as well. */
  static of(server: Server, host: Runtime): FollowedServer {
    let served = host.followed.get(server)
    if (served === undefined) {
      served = new ServedServer(server, host)
      host.followed.set(server, served)
    }
    return served
  }

  /** Takes no more connections and finishes the open ones. Resolves with the number of requests that were cut off. */
  drain(timeout: number): Promise<number> {
    this.#drained ??= this.#drain(timeout)
    return this.#drained
  }

  cut(): void {
    this.#cut.abort()
  }

  async #drain(timeout: number): Promise<number> {
    // Asked before the listener is closed: afterwards it has no name.
    const move = this.#host.mover(this.server)
    const closed = new Promise<void>((resolve) => {
      // Not http.Server's own close(): that one cuts idle connections while their next request is on its way.
      if (this.server.listening) Server.prototype.close.call(this.server, () => resolve())
      else this.connections.whenEmpty(resolve)
    })
    const { life } = this.#host
    const linger = Math.min(this.#linger(), timeout / 2)
    const refuse = setTimeout(() => {
      if (life.phase === 'draining') life.phase = 'refusing'
    }, linger).unref()
    this.connections.end({ linger, move })
    const clean = await drainWithin(closed, { timeout, signal: this.#cut.signal }, timeout)
    clearTimeout(refuse)
    const lost = clean ? 0 : this.connections.destroy()
    // Stops what http.Server itself keeps running; the listener is closed already.
    this.server.close(() => {})
    if (this.#host.leaving) closesOnceMore(this.server)
    return lost
  }

  /**
   * How long an idle connection stays open while draining, in milliseconds. In a reload: as long as the server itself would
   * have kept it, so that a client meets no closing that it would not have met anyway. A stop of the whole service is short.
   */
  #linger(): number {
    if (!this.#host.supervised || this.#host.life.stopping) return LINGER
    const { keepAliveTimeout = LINGER } = this.server as Partial<HttpServer>
    return keepAliveTimeout === 0 ? Number.POSITIVE_INFINITY : Math.max(LINGER, keepAliveTimeout)
  }
}

/**
 * Lets the next `close()` succeed, although the server is closed already: the app's own shutdown handler calls it, and most
 * handlers treat the error of a second `close()` as a failed shutdown.
 */
function closesOnceMore(server: Server): void {
  const own = Object.getOwnPropertyDescriptor(server, 'close')
  const { close } = server
  server.close = function closedBefore(callback?: (error?: Error) => void): Server {
    if (own === undefined) delete (server as Partial<Server>).close
    else Object.defineProperty(server, 'close', own)
    if (callback !== undefined) server.once('close', () => callback())
    return Reflect.apply(close, server, [])
  }
}
