import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2Session, ServerHttp2Stream } from 'node:http2'
import type { Server, Socket } from 'node:net'
import { Chain, type Clock } from '@spillway/kit'
import { Connection, type ConnectionKind } from './connection.js'
import { goingAway } from './websocket.js'

export interface EndOptions {
  /** A connection that was quiet for less than this may bring one more request. Milliseconds. */
  readonly linger: number
  /** Gives an idle connection to another process, if there is one. Tells whether that was possible. */
  readonly move: ((socket: Socket) => boolean) | undefined
}

/** How often idle connections are looked for while draining. Milliseconds. */
const SWEEP = 25

/** How often connections are looked at otherwise, to know since when they are idle. Milliseconds. */
const LOOK = 500

/** Between the two GOAWAYs of HTTP/2, at most: one round trip is what it takes. Milliseconds. */
const GOAWAY_GAP = 1_000

/** Close code of RFC 6455 section 7.4.1: the endpoint is going away. */
const GOING_AWAY = 1001

const NO_ERROR = 0
const LAST_STREAM = 2 ** 31 - 1

/**
 * Follows the connections of one server, and ends them so that no client loses a request:
 *
 * - A connection between two requests moves to another worker, and its client notices nothing.
 * - Where it cannot (TLS, the whole service stops), every response says `Connection: close` from now on. A connection
 *   without a request is closed, at once if it has been quiet for `linger`, else when it has: a client that uses its
 *   connection every few milliseconds would otherwise meet the closing with its next request. It happens right after the
 *   event loop has read everything that had come, which leaves only the way over the wire.
 * - HTTP/2 sessions get a first GOAWAY that refuses nothing, then the last one (RFC 9113 section 6.8).
 * - WebSockets get a close frame with 1001 and close by themselves.
 *
 * Before that it costs a request next to nothing: whether a response is over is asked now and then, instead of being told.
 */
export class Connections {
  /** Finished and running requests since the beginning. */
  requests = 0
  readonly #server: Server
  readonly #clock: Clock
  readonly #open = new Chain<Connection>()
  /** Streams of HTTP/2 in flight. */
  #streams = 0
  readonly #sessions = new Set<Http2Session>()
  /** With TLS: the socket of each client, by its address and port. */
  readonly #peers: Map<string, Socket> | undefined
  #looker: NodeJS.Timeout | undefined
  #ending: EndOptions | undefined
  #patientUntil = Number.POSITIVE_INFINITY
  #sweeper: NodeJS.Timeout | undefined
  #onEmpty: () => void = () => {}

  constructor(server: Server, clock: Clock) {
    this.#server = server
    this.#clock = clock
    const secure = 'setSecureContext' in server
    this.#peers = secure ? new Map() : undefined
    server.prependListener('connection', (socket: Socket) => this.#opened(socket, secure ? 'raw' : 'http'))
    if (secure) server.prependListener('secureConnection', (socket: Socket) => this.#opened(socket, 'http'))
    server.prependListener('request', (req: IncomingMessage, res: ServerResponse) => this.#request(req, res))
    server.on('session', (session: Http2Session) => this.#session(session))
    server.on('stream', (stream: ServerHttp2Stream) => this.#stream(stream))
    this.#alsoListen('upgrade', (req: IncomingMessage, socket: Socket) => this.#upgraded(req, socket))
    this.#alsoListen('checkContinue', (req: IncomingMessage, res: ServerResponse) => this.#request(req, res))
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

  /** Begins to end them all. It is over when the server has closed. */
  end(options: EndOptions): void {
    if (this.#ending !== undefined) return
    this.#ending = options
    this.#patientUntil = this.#clock.now() + options.linger
    this.#look()
    clearInterval(this.#looker)
    for (const connection of this.#open) {
      const { response, kind, socket } = connection
      if (response !== undefined) this.#follow(connection, response)
      if (kind === 'websocket') goingAway(socket, GOING_AWAY)
    }
    for (const session of this.#sessions) this.#endSession(session)
    // Right after the poll phase: what had arrived has been read, so a quiet connection is really quiet.
    this.#sweeper = setInterval(() => setImmediate(() => this.#sweep()), SWEEP)
    setImmediate(() => this.#sweep())
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

  #opened(socket: Socket, kind: ConnectionKind): void {
    const peer = this.#peers === undefined ? undefined : peerOf(socket)
    // On a unix socket, or gone already: nothing says which handshake this one becomes.
    if (kind === 'raw' && peer === undefined) return
    const connection = new Connection(socket, kind, this.#clock.now())
    this.#open.add(connection)
    if (peer !== undefined) this.#meet(peer, socket)
    socket.on('close', () => {
      this.#open.delete(connection)
      if (peer !== undefined && this.#peers?.get(peer) === socket) this.#peers.delete(peer)
      this.#checkEmpty()
    })
    if (this.#looker === undefined && this.#ending === undefined) {
      this.#looker = setInterval(() => this.#look(), LOOK).unref()
    }
  }

  /** After its handshake the TLS socket stands for the connection; the raw one below it is no longer ours to judge. */
  #meet(peer: string, socket: Socket): void {
    const below = this.#peers?.get(peer)
    const raw = below === undefined ? undefined : Connection.of(below)
    if (raw?.kind === 'raw') this.#open.delete(raw)
    this.#peers?.set(peer, socket)
  }

  #request(req: IncomingMessage, res: ServerResponse): void {
    // HTTP/2 streams are counted as streams.
    if (req.httpVersionMajor === 2) return
    const connection = Connection.of(req.socket)
    if (connection === undefined || !connection.begin(res)) return
    this.requests++
    if (this.#ending !== undefined) this.#follow(connection, res)
    // Where its body ends is known at the end of the response only.
    else if (req.method !== 'GET' && req.method !== 'HEAD') this.#settleAfter(connection, res)
  }

  /** While draining. */
  #follow(connection: Connection, res: ServerResponse): void {
    if (this.#closesAnnounced) announceClose(res)
    this.#settleAfter(connection, res)
  }

  #settleAfter(connection: Connection, res: ServerResponse): void {
    res.on('close', () => {
      connection.settle(this.#clock.now())
      if (connection.quiet) this.#ending?.move?.(connection.socket)
    })
  }

  /** Finds out which connections have become idle. */
  #look(): void {
    const now = this.#clock.now()
    for (const connection of this.#open) connection.settle(now)
    if (this.#open.size > 0) return
    clearInterval(this.#looker)
    this.#looker = undefined
  }

  /** Whether responses end their connections: not as long as those can move. */
  get #closesAnnounced(): boolean {
    if (this.#ending === undefined) return false
    return this.#ending.move === undefined || this.#clock.now() >= this.#patientUntil
  }

  #session(session: Http2Session): void {
    const connection = session.socket === undefined ? undefined : this.#find(session)
    if (connection !== undefined) connection.kind = 'http2'
    this.#sessions.add(session)
    session.once('close', () => this.#sessions.delete(session))
    if (this.#ending !== undefined) this.#endSession(session)
  }

  /** A session's own `socket` is a proxy object: it is found by its address. */
  #find({ socket }: Http2Session): Connection | undefined {
    const peer = peerOf(socket)
    if (peer === undefined) return undefined
    const open = this.#peers?.get(peer)
    return open === undefined
      ? [...this.#open].find((each) => peerOf(each.socket) === peer)
      : Connection.of(open)
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

  #upgraded(req: IncomingMessage, socket: Socket): void {
    const connection = Connection.of(socket)
    if (connection === undefined) return
    const websocket = req.headers.upgrade?.toLowerCase() === 'websocket'
    connection.kind = websocket ? 'websocket' : 'upgraded'
    // Told after its handshake, which the app answers next.
    if (this.#ending !== undefined && websocket) setImmediate(() => goingAway(socket, GOING_AWAY))
  }

  #sweep(): void {
    const { linger = 0, move } = this.#ending ?? {}
    const now = this.#clock.now()
    for (const connection of this.#open) {
      const { kind, since, socket } = connection
      if ((kind !== 'http' && kind !== 'raw') || !connection.quiet) continue
      if (kind === 'http' && move?.(socket)) continue
      if (now - since >= linger) socket.destroySoon()
    }
  }

  #checkEmpty(): void {
    if (this.#open.size > 0) return
    clearInterval(this.#sweeper)
    if (this.#ending !== undefined) this.#onEmpty()
  }

  /** Listens to an event only when somebody else does: for Node, to have a listener means something. */
  #alsoListen(event: string, listener: (req: IncomingMessage, other: never) => void): void {
    const ours = listener as (...args: unknown[]) => void
    if (this.#server.listenerCount(event) > 0) {
      this.#server.prependListener(event, ours)
      return
    }
    const added = (name: string | symbol) => {
      if (name !== event) return
      this.#server.off('newListener', added)
      this.#server.prependListener(event, ours)
    }
    this.#server.on('newListener', added)
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remotePort === undefined ? undefined : `${remoteAddress} ${remotePort}`
}

function announceClose(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader('Connection', 'close')
}
