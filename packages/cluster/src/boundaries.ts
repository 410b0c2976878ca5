import type { Server } from 'node:net'

/** Node's list of the HTTP/1 parsers of a server; its timeouts and `closeIdleConnections()` live on it. Not documented. */
interface ParserList {
  /** Parsers that have read a message to its end and no byte of the next one. */
  idle(): readonly object[]
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
