import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2Session, ServerHttp2Stream } from 'node:http2'
import type { Server, Socket } from 'node:net'
import type { Clock } from '@spillway/kit'
import { goingAway } from './websocket.js'

/** One client connection, as far as draining needs to know it. */
interface Connection {
  /** Requests in flight. */
  active: number
  /** When the last request ended, or the connection came. */
  since: number
  /** Bytes received when the last request ended: more than that means that the next one is arriving. */
  bytes: number
  /** `http` until a request says otherwise; a connection in its TLS handshake is `raw`. */
  kind: 'raw' | 'http' | 'http2' | 'upgraded' | 'websocket'
  /** The latest response, as long as it is not over. With pipelining, only the last one may end the connection. */
  response: ServerResponse | undefined
  /** Called at the end of each response: one listener for all of them, because there are many. */
  readonly responded: () => void
}

export interface EndOptions {
  /** A connection that was quiet for less than this may bring one more request. Milliseconds. */
  readonly linger: number
  /** Gives an idle connection to another process, if there is one. Tells whether that was possible. */
  readonly move: ((socket: Socket) => boolean) | undefined
}

/** How often idle connections are looked for while draining. Milliseconds. */
const SWEEP = 25

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
 */
export class Connections {
  /** Finished and running requests since the beginning. */
  requests = 0
  /** Requests in flight. */
  active = 0
  readonly #server: Server
  readonly #clock: Clock
  readonly #open = new Map<Socket, Connection>()
  readonly #sessions = new Set<Http2Session>()
  /** With TLS: the socket of each client, by its address and port. */
  readonly #peers: Map<string, Socket> | undefined
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

  /** Begins to end them all. It is over when the server has closed. */
  end(options: EndOptions): void {
    if (this.#ending !== undefined) return
    this.#ending = options
    this.#patientUntil = this.#clock.now() + options.linger
    if (this.#closesAnnounced) {
      for (const { response } of this.#open.values()) if (response !== undefined) announceClose(response)
    }
    for (const session of this.#sessions) this.#endSession(session)
    for (const [socket, { kind }] of this.#open) if (kind === 'websocket') goingAway(socket, GOING_AWAY)
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
    for (const socket of this.#open.keys()) socket.destroy()
    return lost
  }

  #opened(socket: Socket, kind: Connection['kind']): void {
    const peer = this.#peers === undefined ? undefined : peerOf(socket)
    // On a unix socket, or gone already: nothing says which handshake this one becomes.
    if (kind === 'raw' && peer === undefined) return
    const connection: Connection = {
      active: 0,
      since: this.#clock.now(),
      bytes: 0,
      kind,
      response: undefined,
      responded: () => this.#responded(socket, connection),
    }
    this.#open.set(socket, connection)
    if (peer !== undefined) this.#meet(peer, socket)
    socket.once('close', () => {
      this.#open.delete(socket)
      if (peer !== undefined && this.#peers?.get(peer) === socket) this.#peers.delete(peer)
      this.#checkEmpty()
    })
  }

  /** After its handshake the TLS socket stands for the connection; the raw one below it is no longer ours to judge. */
  #meet(peer: string, socket: Socket): void {
    const below = this.#peers?.get(peer)
    if (below !== undefined && this.#open.get(below)?.kind === 'raw') this.#open.delete(below)
    this.#peers?.set(peer, socket)
  }

  #request(req: IncomingMessage, res: ServerResponse): void {
    // HTTP/2 streams are counted as streams.
    if (req.httpVersionMajor === 2) return
    const connection = this.#open.get(req.socket)
    if (connection === undefined) return
    this.requests++
    this.active++
    connection.active++
    connection.response = res
    if (this.#closesAnnounced) announceClose(res)
    res.on('close', connection.responded)
  }

  #responded(socket: Socket, connection: Connection): void {
    this.active--
    connection.active--
    if (connection.active > 0) return
    connection.response = undefined
    connection.since = this.#clock.now()
    connection.bytes = socket.bytesRead
    if (this.#ending?.move !== undefined && isQuiet(socket, connection)) this.#ending.move(socket)
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
    const open = this.#peers?.get(peer) ?? [...this.#open.keys()].find((each) => peerOf(each) === peer)
    return open === undefined ? undefined : this.#open.get(open)
  }

  #stream(stream: ServerHttp2Stream): void {
    this.requests++
    this.active++
    stream.once('close', () => {
      this.active--
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
    const connection = this.#open.get(socket)
    if (connection === undefined) return
    const websocket = req.headers.upgrade?.toLowerCase() === 'websocket'
    connection.kind = websocket ? 'websocket' : 'upgraded'
    // Told after its handshake, which the app answers next.
    if (this.#ending !== undefined && websocket) setImmediate(() => goingAway(socket, GOING_AWAY))
  }

  #sweep(): void {
    const { linger = 0, move } = this.#ending ?? {}
    const now = this.#clock.now()
    for (const [socket, connection] of this.#open) {
      const { kind, since } = connection
      if ((kind !== 'http' && kind !== 'raw') || !isQuiet(socket, connection)) continue
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

/** Between two requests, and nothing of the next one has come. */
function isQuiet(socket: Socket, { active, bytes, kind }: Connection): boolean {
  return active === 0 && (kind === 'raw' || socket.bytesRead <= bytes)
}

function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  return remotePort === undefined ? undefined : `${remoteAddress} ${remotePort}`
}

function announceClose(res: ServerResponse): void {
  if (!res.headersSent) res.setHeader('Connection', 'close')
}
