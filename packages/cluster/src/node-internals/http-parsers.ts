import type { Server, Socket } from 'node:net'

/** Node's list of the HTTP/1 parsers of a server; its timeouts and `closeIdleConnections()` live on it. Not documented. */
interface ParserList {
  /** Parsers that have read a message to its end and no byte of the next one. */
  idle(): readonly object[]
}

/** What Node's HTTP/1 server leaves on a socket. Not documented; without it a connection is foreign and stays here. */
export interface HttpSocket {
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

const NONE: ReadonlySet<object> = new Set()

/**
 * Where the HTTP/1 parsers of a server stand. Only the parser itself knows where a message ends, so it is asked, and its
 * work is not done a second time here. An unknown Node without that list has no parser at a boundary, so nothing moves.
 */
export class Boundaries {
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
 * take for the response to its next request. So it reads a request that nobody hears of.
 */
export function beginBetween(socket: Socket): void {
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
