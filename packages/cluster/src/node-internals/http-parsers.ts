import type { Server, Socket } from 'node:net'

/*
 * Relies on: the list of HTTP/1 parsers that `node:http` keeps under the symbol `http.server.connections`, with its `idle()`;
 * `parser` and `_httpMessage` of a socket; `socket`, `_consumed`, `incoming`, `onIncoming` and `execute` of a parser.
 * Checked with: Node 20.20, 22.23, 24.21.
 * Where it is missing: no parser is known to be between two messages, and a connection counts as foreign, so nothing moves.
 */

/** Node's list of the HTTP/1 parsers of a server, which its timeouts and `closeIdleConnections()` use. */
interface ParserList {
  /** Parsers that have read a message to its end and no byte of the next one. */
  idle(): readonly object[]
}

/** What Node's HTTP/1 server leaves on a socket. */
interface HttpSocket {
  readonly parser?: Parser | null
  /** The response that is being sent, or is to be sent next. */
  readonly _httpMessage?: unknown
}

interface Parser {
  readonly socket?: unknown
  /** It reads from the handle itself: nothing passes through JavaScript. */
  readonly _consumed?: boolean
  incoming?: unknown
  onIncoming?: unknown
  execute?(bytes: Buffer): unknown
}

/** The HTTP/1 parser that reads a socket. `null` or `undefined`: none does, or none any more. */
export function parserOf(socket: Socket): object | null | undefined {
  return (socket as HttpSocket).parser
}

/** Whether this very socket is read by Node's HTTP/1 parser. */
export function isParsed(socket: Socket): boolean {
  return (socket as HttpSocket).parser?.socket === socket
}

/** Whether the parser reads from the handle itself, so that no byte passes through JavaScript. */
export function isConsumed(socket: Socket): boolean {
  return (socket as HttpSocket).parser?._consumed === true
}

/** Whether a response is due or being sent, also one that Node gives by itself (400, 417, 503). */
export function isAnswering(socket: Socket): boolean {
  const { _httpMessage } = socket as HttpSocket
  return _httpMessage !== undefined && _httpMessage !== null
}

const NONE: ReadonlySet<object> = new Set()

/**
 * Where the HTTP/1 parsers of a server stand. Only the parser itself knows where a message ends, so it is asked, and its
 * work is not done a second time here. An unknown Node without that list has no parser at a boundary, so nothing moves.
 */
export class HttpParsers {
  readonly #server: Server
  #key: symbol | undefined

  constructor(server: Server) {
    this.#server = server
  }

  /** The parsers between two messages. Costs a look at each connection: ask once for many. */
  read(): ReadonlySet<object> {
    const { idle } = this.#list() ?? {}
    return typeof idle === 'function' ? new Set(idle.call(this.#list())) : NONE
  }

  #list(): Partial<ParserList> | undefined {
    const server = this.#server as object as Record<symbol, Partial<ParserList> | undefined>
    // It comes with the event 'listening'.
    this.#key ??= Object.getOwnPropertySymbols(server).find(
      ({ description }) => description === 'http.server.connections',
    )
    return this.#key === undefined ? undefined : server[this.#key]
  }
}

const EXCHANGE = Buffer.from('GET / HTTP/1.1\r\nHost: before\r\n\r\n')

/**
 * Puts the parser of a connection that is new here, but not to its client, where it was in the other process: between two
 * messages. Node gives a parser that has read nothing its time for headers, and then answers 408, which an idle client would
 * take for the response to its next request. So the parser reads a request that no listener sees.
 */
export function skipFirstRequest(socket: Socket): void {
  const { parser } = socket as HttpSocket
  if (typeof parser?.execute !== 'function' || typeof parser.onIncoming !== 'function') return
  const { onIncoming } = parser
  parser.onIncoming = () => 0
  try {
    parser.execute(EXCHANGE)
  } finally {
    parser.onIncoming = onIncoming
    parser.incoming = null
  }
}
