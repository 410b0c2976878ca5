import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import type { Http2Session, ServerHttp2Stream } from 'node:http2'
import type { Server, Socket } from 'node:net'
import { type Clock, LinkedList } from '@spillway/kit'
import { attach, type ConnectionHandle } from '../node-internals/handles.js'
import { HttpParsers } from '../node-internals/http-parsers.js'
import { Connection } from './connection.js'
import { tapEvents } from './event-tap.js'
import { lingeringClose } from './lingering-close.js'

/** How {@link Connections.end} ends idle connections. */
export interface EndOptions {
  /** A connection that was quiet for less than this may bring one more request. Milliseconds. */
  readonly linger: number
  /**
   * Gives a connection between two exchanges to another process, if there is one. Tells whether that was possible. `used`:
   * it has served a request.
   */
  readonly move: ((socket: Socket, used: boolean) => boolean) | undefined
}

/** How often idle connections are looked for while draining. Milliseconds. */
const SWEEP = 25

/** How often connections are looked at otherwise, to know since when they are idle. Milliseconds. */
const LOOK = 500

/** Between the two GOAWAYs of HTTP/2, at most: one round trip is what it takes. Milliseconds. */
const GOAWAY_GAP = 1_000

/** What Node adds to the time between two requests that it announces to clients, where it says nothing else. Milliseconds. */
const KEEP_ALIVE_BUFFER = 1_000

/** Close code of RFC 6455 section 7.4.1: the endpoint is going away. */
const GOING_AWAY = 1001

const NO_ERROR = 0
const LAST_STREAM = 2 ** 31 - 1

/**
 * Follows the connections of one server, and ends them so that no client loses a request:
 *
 * - A connection between two exchanges moves to another worker, and its client notices nothing.
 * - Where it cannot (TLS, the whole service stops), every response says `Connection: close` from now on. A connection
 *   without a request is closed, at once if it has been quiet for `linger`, else when it has: a client that uses its
 *   connection every few milliseconds would otherwise meet the closing with its next request. It happens right after the
 *   event loop has read everything that had come, which leaves only the way over the wire.
 * - HTTP/2 sessions get a first GOAWAY that refuses nothing, then the last one (RFC 9113 section 6.8).
 * - WebSockets get a close frame with 1001, once their handshake is answered, and close by themselves.
 * - Connections of other protocols are left to the app.
 *
 * What moves or closes is decided after the event loop's poll phase only: no parser is at work then, and all that has been
 * taken from the kernel has been parsed.
 *
 * Before that it costs a request next to nothing: whether a response is over is asked now and then, instead of being told.
 */
export class Connections {
  /** Finished and running requests since the beginning. */
  requests = 0
  readonly #server: Server
  readonly #clock: Clock
  readonly #idleParsers: HttpParsers
  readonly #open = new LinkedList<Connection>()
  /** Streams of HTTP/2 in flight. */
  #streams = 0
  readonly #sessions = new Set<Http2Session>()
  /** With TLS: the socket of each client, by its address and port. */
  readonly #peers: Map<string, Socket> | undefined
  /** The connection of the event that the server's own listeners are handling. */
  #entering: Connection | undefined
  /** The connection that is being received comes idle from another process. */
  #resting = false
  #looker: NodeJS.Timeout | undefined
  #ending: EndOptions | undefined
  #patientUntil = Number.POSITIVE_INFINITY
  #sweeper: NodeJS.Timeout | undefined
  #sweepIsDue = false
  #onEmpty: () => void = () => {}

  constructor(server: Server, clock: Clock) {
    this.#server = server
    this.#clock = clock
    this.#idleParsers = new HttpParsers(server)
    const secure = 'setSecureContext' in server
    this.#peers = secure ? new Map() : undefined
    const entered = () => this.#entered()
    const request = (req: IncomingMessage, res: ServerResponse) => this.#request(req, res)
    const upgrade = (req: IncomingMessage, socket: Socket) => this.#upgraded(req, socket)
    tapEvents(server, {
      before: {
        connection: (socket: Socket) => this.#opened(socket, secure ? 'handshake' : 'foreign'),
        secureConnection: (socket: Socket) => this.#opened(socket, 'foreign'),
        request,
        checkContinue: request,
        checkExpectation: request,
        upgrade,
        connect: upgrade,
        session: (session: Http2Session) => this.#session(session),
        stream: (stream: ServerHttp2Stream) => this.#stream(stream),
      },
      after: { connection: entered, secureConnection: entered },
    })
  }

  get count(): number {
    return this.#open.size
  }

  /** Requests in flight. */
  get active(): number {
    let sum = this.#streams
    for (const { active } of this.#open) sum += active
    return sum
  }

  /** Takes a connection that another process has accepted. `used`: it has served a request there. */
  receive(handle: ConnectionHandle, used: boolean): void {
    this.#resting = used
    try {
      attach(this.#server, handle)
    } finally {
      this.#resting = false
    }
  }

  /** Begins to end them all. It is over when the server has closed. */
  end(options: EndOptions): void {
    if (this.#ending !== undefined) return
    this.#ending = options
    this.#patientUntil = this.#clock.now() + options.linger
    this.#settle()
    clearInterval(this.#looker)
    for (const connection of this.#open) {
      const { response } = connection
      if (response !== undefined) this.#follow(connection, response)
    }
    for (const session of this.#sessions) this.#endSession(session)
    this.#sweeper = setInterval(() => this.#sweepSoon(), SWEEP)
    this.#sweepSoon()
    this.#checkEmpty()
  }

  /** Calls back when the last connection has gone, after {@link end}. */
  whenEmpty(callback: () => void): void {
    this.#onEmpty = callback
  }

  /** Cuts off what is left. Tells how many requests that cost. */
  destroy(): number {
    const lost = this.active
    clearInterval(this.#sweeper)
    for (const session of this.#sessions) session.destroy()
    for (const { socket } of this.#open) socket.destroy()
    return lost
  }

  #opened(socket: Socket, state: 'handshake' | 'foreign'): void {
    this.#entering = undefined
    // Some apps emit this again for a connection that they have looked into.
    if (Connection.of(socket) !== undefined) return
    const peer = this.#peers === undefined ? undefined : peerOf(socket)
    // On a unix socket, or gone already: nothing says which handshake this one becomes. Nor is it ours to end one for
    // a protocol that we do not know.
    if (state === 'handshake' && (peer === undefined || !speaksHttp(this.#server))) return
    const connection = new Connection(socket, state, this.#clock.now())
    this.#entering = connection
    this.#open.add(connection)
    if (peer !== undefined) this.#meet(peer, socket)
    socket.on('close', () => {
      this.#open.delete(connection)
      if (peer !== undefined && this.#peers?.get(peer) === socket) this.#peers.delete(peer)
      this.#checkEmpty()
    })
    if (this.#looker === undefined && this.#ending === undefined) {
      this.#looker = setInterval(() => this.#settle(), LOOK).unref()
    }
  }

  /** The server's own listeners have had it. */
  #entered(): void {
    const connection = this.#entering
    this.#entering = undefined
    connection?.recognize()
    if (this.#resting) connection?.rest(this.#keepAlive)
  }

  /** As Node's server waits for the next request. Milliseconds; 0: for ever. */
  get #keepAlive(): number {
    const { keepAliveTimeout = 0, keepAliveTimeoutBuffer = KEEP_ALIVE_BUFFER } = this
      .#server as Partial<HttpServer> & { readonly keepAliveTimeoutBuffer?: number }
    return keepAliveTimeout > 0 ? keepAliveTimeout + keepAliveTimeoutBuffer : 0
  }

  /** For a socket in use. Milliseconds; 0: none. */
  get #timeout(): number {
    return (this.#server as Partial<HttpServer>).timeout ?? 0
  }

  /** After its handshake the TLS socket stands for the connection; the raw one below it is not judged any more. */
  #meet(peer: string, socket: Socket): void {
    const below = Connection.of(this.#peers?.get(peer))
    if (below?.state === 'handshake') this.#open.delete(below)
    this.#peers?.set(peer, socket)
  }

  #request(req: IncomingMessage, res: ServerResponse): boolean {
    // HTTP/2 streams are counted as streams.
    if (req?.httpVersionMajor === 2) return true
    const connection = Connection.of(req?.socket)
    if (connection === undefined) return true
    if (!connection.admits) return false
    if (!connection.begin(res)) return true
    connection.wake(this.#timeout)
    this.requests++
    if (this.#ending !== undefined) this.#follow(connection, res)
    return true
  }

  /** While draining. */
  #follow(connection: Connection, res: ServerResponse): void {
    if (this.#endsWithNext(connection)) connection.endWith(res)
    if (this.#ending?.move !== undefined) res.on('close', () => this.#sweepSoon())
  }

  /** Finds out since when connections are idle. */
  #settle(): void {
    const now = this.#clock.now()
    for (const connection of this.#open) connection.settle(now)
    if (this.#open.size > 0) return
    clearInterval(this.#looker)
    this.#looker = undefined
  }

  /**
   * Whether a response ends its connection: not as long as that may move. One that has had its time, and then one request
   * more, without having been between two exchanges for a moment (pipelining without end) has to end as well.
   */
  #endsWithNext(connection: Connection): boolean {
    if (this.#ending?.move === undefined) return true
    if (this.#clock.now() < this.#patientUntil) return false
    const { spared } = connection
    connection.spared = true
    return spared || !connection.movable
  }

  #session(session: Http2Session): void {
    this.#entering?.apply('session')
    this.#sessions.add(session)
    session.once('close', () => this.#sessions.delete(session))
    if (this.#ending !== undefined) this.#endSession(session)
  }

  #stream(stream: ServerHttp2Stream): void {
    this.requests++
    this.#streams++
    stream.once('close', () => {
      this.#streams--
    })
  }

  #endSession(session: Http2Session): void {
    if (session.closed || session.destroyed) return
    session.goaway(NO_ERROR, LAST_STREAM)
    const close = () => {
      if (!session.closed) session.close()
    }
    setTimeout(close, Math.min(GOAWAY_GAP, this.#ending?.linger ?? 0)).unref()
  }

  #upgraded(req: IncomingMessage, socket: Socket): boolean {
    const connection = Connection.of(socket)
    if (connection === undefined) return true
    if (!connection.admits) return false
    connection.wake(this.#timeout)
    const websocket = req?.headers?.upgrade?.toLowerCase() === 'websocket'
    connection.upgrade(websocket ? 'websocket' : 'tunnel')
    if (this.#ending !== undefined) this.#sweepSoon()
    return true
  }

  /** Right after the poll phase. */
  #sweepSoon(): void {
    if (this.#sweepIsDue) return
    this.#sweepIsDue = true
    setImmediate(() => {
      this.#sweepIsDue = false
      this.#sweep()
    })
  }

  #sweep(): void {
    const { linger = 0, move } = this.#ending ?? {}
    const now = this.#clock.now()
    const idleParsers = this.#idleParsers.read()
    for (const connection of this.#open) {
      const { socket } = connection
      if (socket.destroyed) continue
      connection.look(idleParsers, now)
      connection.goAway(GOING_AWAY)
      if (move !== undefined && this.#move(connection, move)) continue
      if (now - connection.since >= linger && connection.apply('close')) lingeringClose(socket)
    }
  }

  #move(connection: Connection, move: NonNullable<EndOptions['move']>): boolean {
    const { state, movable, socket, used } = connection
    if ((state !== 'fresh' && state !== 'between') || !movable || !move(socket, used)) return false
    return connection.apply('move')
  }

  #checkEmpty(): void {
    if (this.#open.size > 0 || this.#ending === undefined) return
    clearInterval(this.#sweeper)
    this.#onEmpty()
  }
}

function speaksHttp(server: Server): boolean {
  return 'closeIdleConnections' in server || 'updateSettings' in server
}

function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remotePort === undefined ? undefined : `${remoteAddress} ${remotePort}`
}
