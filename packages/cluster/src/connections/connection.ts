import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import {
  isAnswering,
  isConsumed,
  isParsed,
  parserOf,
  skipFirstRequest,
} from '../node-internals/http-parsers.js'
import { type ConnectionEvent, type ConnectionState, nextState } from './connection-state.js'
import { lingeringClose } from './lingering-close.js'
import { goingAway } from './websocket.js'

const CONNECTION = Symbol('spillway.cluster.connection')

interface Followed {
  [CONNECTION]?: Connection
}

/** One client connection, as far as draining needs to know it. Its states: {@link ConnectionState}. */
export class Connection {
  readonly socket: Socket
  /** Neighbours in the chain of a server's open connections. */
  next: Connection | undefined
  previous: Connection | undefined
  /** It has not been in use since then. */
  since: number
  /** It has served a request, here or in the process that it came from. */
  used = false
  /** It had one more request after its time to move was over. */
  spared = false
  /** It came idle from another process, and has been idle since. */
  #rests = false
  #state: ConnectionState
  /** Only Node's parser has read its bytes. */
  #untouched = false
  /** The latest response, until it is seen to be over. With pipelining, only the last one may end the connection. */
  #response: ServerResponse | undefined
  /** With pipelining: the responses before the latest. */
  #earlier: ServerResponse[] | undefined
  /** The response that ends the connection. */
  #last: ServerResponse | undefined
  /** Bytes that had been written when a WebSocket was asked for; `undefined`: none was, or it has had its close frame. */
  #writtenBefore: number | undefined

  constructor(socket: Socket, state: 'handshake' | 'foreign', now: number) {
    this.socket = socket
    this.#state = state
    this.since = now
    ;(socket as Followed)[CONNECTION] = this
  }

  static of(socket: Socket | undefined | null): Connection | undefined {
    return (socket as Followed | undefined | null)?.[CONNECTION]
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** The latest response, if it is in flight. */
  get response(): ServerResponse | undefined {
    return this.#response === undefined || isOver(this.#response) ? undefined : this.#response
  }

  /** Requests in flight. */
  get active(): number {
    return (this.response === undefined ? 0 : 1) + this.#inFlight().length
  }

  /** Tells whether the event was possible. */
  apply(event: ConnectionEvent): boolean {
    const next = nextState(this.#state, event)
    if (next === undefined) return false
    this.#state = next
    return true
  }

  /** The server has attached its parser or session by now, if it is going to: finds out which. */
  recognize(): void {
    if (!isParsed(this.socket) || !this.apply('http')) return
    // The parser never sees the bytes that were read before it was attached.
    this.#untouched = this.socket.bytesRead === 0 && this.socket.readableLength === 0
  }

  /**
   * It has come idle from another process: Node would give a new connection its time for headers, and answer 408 after it.
   * An idle one gets the time between two requests instead (`timeout`, milliseconds).
   */
  rest(timeout: number): void {
    this.used = true
    this.#rests = true
    skipFirstRequest(this.socket)
    if (timeout > 0) this.socket.setTimeout(timeout)
  }

  /** The head of a message has come. `timeout`: the server's own for sockets, in milliseconds; 0: none. */
  wake(timeout: number): void {
    if (!this.#rests) return
    this.#rests = false
    this.socket.setTimeout(timeout)
  }

  /** A request has come. `false`: it is known, since 100-continue tells of each request twice. */
  begin(response: ServerResponse): boolean {
    const before = this.#response
    if (before === response) return false
    if (before !== undefined && !isOver(before)) this.#earlier = [...this.#inFlight(), before]
    this.#response = response
    this.used = true
    this.apply('request')
    return true
  }

  /** Whether a request that comes now may be processed: not after a response with the `Connection: close` of {@link Connections}. */
  get admits(): boolean {
    return this.#state !== 'closing' && this.#last?.headersSent !== true
  }

  /** This response says `Connection: close`, unless another request comes before it is sent. */
  endWith(response: ServerResponse): void {
    if (this.#last !== undefined) this.#last.shouldKeepAlive = true
    this.#last = undefined
    if (response.headersSent || !response.shouldKeepAlive) return
    this.#last = response
    response.shouldKeepAlive = false
    // What Node's server calls after the last response.
    this.socket.destroySoon = () => lingeringClose(this.socket)
  }

  /** The client asks for another protocol. Its answer is the app's, now or after it has found out about the visitor. */
  upgrade(to: 'websocket' | 'tunnel'): void {
    if (this.apply(to) && to === 'websocket') this.#writtenBefore = this.socket.bytesWritten
  }

  /** Sends a WebSocket its close frame, once. Not before its handshake is answered: the client still expects HTTP. */
  goAway(code: number): void {
    if (this.#writtenBefore === undefined || this.active > 0) return
    if (this.socket.bytesWritten === this.#writtenBefore) return
    this.#writtenBefore = undefined
    goingAway(this.socket, code)
  }

  /** Looks whether its requests are answered, at the latest since now. */
  settle(now: number): void {
    if (this.#response === undefined || this.active > 0) return
    this.#response = undefined
    this.#earlier = undefined
    this.since = now
  }

  /**
   * Finds out what it is in the middle of. To be called when no parser is at work, with all parsers that are between two
   * messages.
   */
  look(idleParsers: ReadonlySet<object>, now: number): void {
    this.settle(now)
    const before = this.#state
    const event = this.#seen(idleParsers)
    if (event === undefined || !this.apply(event)) return
    // The rest of a body that was answered early.
    if (before === 'receiving' && this.#state === 'between') this.since = now
  }

  /** Whether all that this process has taken from the kernel went through Node's parser. */
  get movable(): boolean {
    return this.#untouched && isConsumed(this.socket) && this.socket.readableLength === 0
  }

  #seen(idleParsers: ReadonlySet<object>): ConnectionEvent | undefined {
    const parser = parserOf(this.socket)
    // Taken away from Node's server by other means than an upgrade.
    if (parser === undefined || parser === null) return this.#state === 'foreign' ? undefined : 'tunnel'
    // Node answers some requests by itself: then only the socket tells of a response.
    if (this.active > 0 || isAnswering(this.socket)) return 'request'
    if (idleParsers.has(parser)) return 'answered'
    return this.socket.bytesRead === 0 ? undefined : 'partial'
  }

  /** The responses before the latest that are still in flight. */
  #inFlight(): readonly ServerResponse[] {
    return this.#earlier?.filter((each) => !isOver(each)) ?? NONE
  }
}

const NONE: readonly ServerResponse[] = []

function isOver(response: ServerResponse): boolean {
  return response.destroyed || response.writableFinished
}
