import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** `http` until a request says otherwise; a connection in its TLS handshake is `raw`. */
export type ConnectionKind = 'raw' | 'http' | 'http2' | 'upgraded' | 'websocket'

const CONNECTION = Symbol('spillway.cluster.connection')

interface Followed {
  [CONNECTION]?: Connection
}

/** One client connection, as far as draining needs to know it. */
export class Connection {
  readonly socket: Socket
  kind: ConnectionKind
  /** Neighbours in the chain of a server's open connections. */
  next: Connection | undefined
  previous: Connection | undefined
  /** It has not been in use since then. */
  since: number
  /** Bytes received when the last request had been: more than that means that the next one is arriving. */
  #bytes = 0
  /** The latest response, until it is seen to be over. With pipelining, only the last one may end the connection. */
  #response: ServerResponse | undefined
  /** With pipelining: those before the latest. */
  #earlier: ServerResponse[] | undefined

  constructor(socket: Socket, kind: ConnectionKind, now: number) {
    this.socket = socket
    this.kind = kind
    this.since = now
    ;(socket as Followed)[CONNECTION] = this
  }

  static of(socket: Socket): Connection | undefined {
    return (socket as Followed)[CONNECTION]
  }

  /** The latest response, if it is in flight. */
  get response(): ServerResponse | undefined {
    return this.#response === undefined || isOver(this.#response) ? undefined : this.#response
  }

  /** Requests in flight. */
  get active(): number {
    return (this.response === undefined ? 0 : 1) + this.#inFlight().length
  }

  /** A request has come. `false`: it is known, since 100-continue tells of each request twice. */
  begin(response: ServerResponse): boolean {
    const before = this.#response
    if (before === response) return false
    if (before !== undefined && !isOver(before)) this.#earlier = [...this.#inFlight(), before]
    this.#response = response
    this.#bytes = this.socket.bytesRead
    return true
  }

  /** Looks whether it is between two requests, at the latest since now. */
  settle(now: number): void {
    if (this.#response === undefined || this.active > 0) return
    if (hasBody(this.#response.req)) this.#bytes = this.socket.bytesRead
    this.#response = undefined
    this.#earlier = undefined
    this.since = now
  }

  /** Between two requests, and nothing of the next one has come. One that has just been moved or closed is neither. */
  get quiet(): boolean {
    if (this.socket.destroyed) return false
    return this.active === 0 && (this.kind === 'raw' || this.socket.bytesRead <= this.#bytes)
  }

  /** Those before the latest. */
  #inFlight(): readonly ServerResponse[] {
    return this.#earlier?.filter((each) => !isOver(each)) ?? NONE
  }
}

const NONE: readonly ServerResponse[] = []

function isOver(response: ServerResponse): boolean {
  return response.destroyed || response.writableFinished
}

/** Bytes of a body came after those of its head (RFC 9112 section 6). */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}
