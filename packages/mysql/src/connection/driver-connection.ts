import { tracingChannel } from 'node:diagnostics_channel'
import { connect, type Socket } from 'node:net'
import { offAbort, onAbort } from '@spillway/kit'
import {
  type Connection,
  createConnection,
  type FieldPacket,
  type PrepareStatementInfo,
  type Query,
  type QueryError,
  type QueryResult,
  type RowDataPacket,
} from 'mysql2'
import { isConnectionFailure, notBegun } from '../errno.js'
import type { PoolOptions } from '../options.js'
import type { Call } from '../server-pool/statement-execution.js'
import type { Deadlines } from './deadlines.js'
import { driverOptions } from './driver-options.js'
import { RowFeed } from './row-feed.js'
import { asSent, exactly, OBJECTS, OURS, type RowShape, shaped } from './row-reading.js'
import type { Server } from './servers.js'
import { type Flavour, flavourOf, newsOf, type SessionNews, sessionStatements } from './session-state.js'
import { SessionText } from './session-literals.js'
import { after } from './timer.js'

const tracing = tracingChannel('mysql2:execute')

/** Its answer has the mode of the session itself, and not that of a stored program that ran before. */
const ASK_MODE = 'SET sql_mode = @@sql_mode'

export type Reply = (error: QueryError | null, result: QueryResult, fields: FieldPacket[]) => void

/** How links to one server are opened. */
export interface LinkSettings {
  readonly server: Server
  readonly options: PoolOptions
  readonly deadlines: Deadlines
  /** Called once, when an open link is of no more use. */
  lost(link: Link, error: unknown): void
  /** The server refused to turn on what was asked of it; what it cannot do is in the message. */
  degraded(message: string): void
}

/** One connection to a server, and what must be known about it between its uses. */
export class Link {
  readonly #settings: LinkSettings
  readonly #socket: Socket
  readonly #connection: Connection
  /** By their text, in the order of their preparation. */
  readonly #prepared = new Map<string, PrepareStatementInfo>()
  readonly #exact: boolean
  /** The driver has not been told of another shape of rows. */
  readonly #readsObjects: boolean
  /** How its server reads what it is sent. */
  readonly text: SessionText
  #feed: RowFeed<RowDataPacket> | undefined
  flavour: Flavour = 'mysql'
  threadId = 0
  broken = false
  /** The next user must not get it as it is. */
  dirty = false
  inTransaction = false
  /** The open transaction has changed something. */
  wrote = false
  /** The call that runs on it; those behind it wait. */
  call: Call | undefined
  readonly pending: Call[] = []
  /** The stream that reads from it. */
  reader: { move(): void } | undefined

  expiresAt = Number.POSITIVE_INFINITY
  idleSince = 0
  heldSince = 0
  sql: string | undefined
  stack: (() => string | undefined) | undefined
  leakReported = false

  private constructor(settings: LinkSettings) {
    this.#settings = settings
    const { server, options } = settings
    this.#exact = options.dates === 'exact'
    this.#readsObjects = !options.driver.rowsAsArray && !options.driver.nestTables
    this.text = new SessionText(options.charset.client)
    // Our own socket: `destroy()` of mysql2 only closes one half, and leaves who waits on it waiting.
    this.#socket =
      server.socketPath === undefined ? connect(server.port, server.host) : connect(server.socketPath)
    this.#socket.setNoDelay(true)
    this.#socket.setKeepAlive(true, 10_000)
    // An address has no name to send along, so Node would compare the certificate with 'localhost'.
    if (server.ssl !== undefined) Object.assign(this.#socket, { _host: server.host })
    this.#connection = createConnection({
      ...driverOptions(server, options),
      stream: () => this.#socket,
    })
  }

  /** Connects, signs in and sets up the session. Rejects with the server's or the socket's error. */
  static async open(settings: LinkSettings, signal?: AbortSignal): Promise<Link> {
    const link = new Link(settings)
    const { deadlines, options } = settings
    let expired = false
    const stop = () => {
      expired = true
      link.#socket.destroy()
    }
    const timer = after(deadlines, options.clock.now() + options.connectTimeout, stop)
    if (signal !== undefined) onAbort(signal, stop)
    try {
      await link.#connect()
      await link.setUp()
      if (signal?.aborted) throw signal.reason
      return link
    } catch (error) {
      link.destroy()
      if (!expired || signal?.aborted) throw error
      throw Object.assign(new Error(`connect ETIMEDOUT ${settings.server.name}`), {
        code: 'ETIMEDOUT',
        cause: error,
      })
    } finally {
      deadlines.remove(timer)
      if (signal !== undefined) offAbort(signal, stop)
    }
  }

  #connect(): Promise<void> {
    const connection = this.#connection
    return new Promise((resolve, reject) => {
      connection.once('connect', (greeting: { serverVersion?: string }) => {
        this.flavour = flavourOf(greeting?.serverVersion ?? '')
        this.threadId = connection.threadId
        resolve()
      })
      // The first one rejects; later ones tell that an open connection is lost.
      connection.on('error', (error: unknown) => {
        reject(error)
        this.#lose(error)
      })
      connection.on('end', () => this.#lose(undefined))
      this.#socket.once('close', () => {
        reject(closed())
        this.#lose(undefined)
      })
    })
  }

  /** Tells the session how to behave; after opening and after each reset. */
  async setUp(): Promise<void> {
    const { options, degraded } = this.#settings
    if (!options.session) return
    const { needed, tracking } = sessionStatements(this.flavour, options)
    this.text.begin()
    try {
      await this.command(`SET ${[...needed, ...tracking].join(', ')}`)
    } catch (error) {
      if (isConnectionFailure(error)) throw error
      degraded(`no tracking of positions and session state: ${(error as Error).message}`)
      try {
        await this.command(`SET ${needed.join(', ')}`)
      } catch (reason) {
        if (isConnectionFailure(reason)) throw reason
        degraded(`no session settings (character set, time zone, time limit): ${(reason as Error).message}`)
        return
      }
    }
    // The status may come from a stored program that ran when the session began; after this it is the session's own.
    if (this.text.backslashIsPlain) await this.command(ASK_MODE)
    this.text.settled()
  }

  /** Whether {@link askMode} may be used: an endpoint that is told nothing is asked nothing. */
  get mayAsk(): boolean {
    return this.#settings.options.session
  }

  /** Asks how the session reads a backslash; the answer holds for the next statement. */
  async askMode(): Promise<void> {
    await this.command(ASK_MODE)
    this.text.asked()
  }

  /** A statement of our own. */
  command(sql: string): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      this.#connection
        .query(sql, (error: QueryError | null, result: QueryResult) => {
          if (error !== null) return reject(error)
          const news = newsOf(result)
          if (news === undefined) return resolve(result)
          this.inTransaction = news.inTransaction
          this.text.heed(news)
          resolve(result)
        })
        .on('fields', asSent as never)
    })
  }

  query(sql: string, shape: RowShape | undefined, reply: Reply): void {
    this.text.sent()
    this.#read(this.#connection.query(sql, reply), shape)
  }

  /** Rows are read as the call wants them, and dates without losing digits. */
  #read(command: Query | undefined, shape: RowShape | undefined): void {
    if (shape === OURS) command?.on('fields', asSent as never)
    else if (shape !== undefined && !(shape === OBJECTS && this.#readsObjects))
      command?.on('fields', shaped(shape, this.#exact) as never)
    else if (this.#exact) command?.on('fields', exactly as never)
  }

  /** In prepared form; the least recently prepared one makes room when there are more than the server's pool allows. */
  execute(
    sql: string,
    values: readonly unknown[] | undefined,
    pool: { readonly statementBudget: number },
    shape: RowShape | undefined,
    reply: Reply,
  ): void {
    this.text.sent()
    const known = this.#prepared.get(sql)
    if (known !== undefined) {
      this.#executeKnown(known, sql, values, shape, reply)
      return
    }
    while (this.#prepared.size >= pool.statementBudget) this.#unprepareOldest()
    this.#connection.prepare(sql, (error, statement) => {
      if (error !== null) return reply(error, [], [])
      this.#prepared.set(sql, statement)
      // Its time ended during the preparation, and the kill with it: nothing would stop it now.
      if (this.call?.stopping) return reply(notBegun(), [], [])
      const execute = (): void => this.#executeKnown(statement, sql, values, shape, reply)
      // The driver calls back in the context of its socket.
      if (tracing.hasSubscribers && this.call?.caller) this.call.caller.runInAsyncScope(execute)
      else execute()
    })
  }

  #executeKnown(
    statement: PrepareStatementInfo,
    sql: string,
    values: readonly unknown[] = [],
    shape: RowShape | undefined,
    reply: Reply,
  ): void {
    // The connection's own `execute` looks the statement up again at each call, and tells those who trace.
    const command = tracing.hasSubscribers
      ? this.#connection.execute(sql, values as never[], reply)
      : statement.execute(values, reply)
    this.#read(command, shape)
  }

  /** The server has no room for more of them: half of ours are closed. */
  unprepareHalf(): void {
    for (let left = this.#prepared.size / 2; left > 0; left--) this.#unprepareOldest()
  }

  /** The text could not be prepared, or not be executed as it was. */
  forget(sql: string): void {
    this.#prepared.delete(sql)
    this.#connection.unprepare(sql)
  }

  #unprepareOldest(): void {
    for (const oldest of this.#prepared.keys()) {
      this.forget(oldest)
      return
    }
  }

  /** Rows at the reader's pace. */
  stream(sql: string, shape: RowShape | undefined, readAhead: number): RowFeed<RowDataPacket> {
    const feed = new RowFeed<RowDataPacket>(this, readAhead)
    // mysql2 tells the connection that it is lost, and not its streams.
    this.#feed = feed
    this.text.sent()
    const command = this.#connection.query(sql)
    this.#read(command, shape)
    command
      .on('result', (row: RowDataPacket, set?: number) => {
        // An OK packet comes without the number of its result.
        if (set === undefined) this.note(row as object as QueryResult)
        feed.push(row)
      })
      .on('error', (error: unknown) => feed.fail(error))
      .on('end', () => {
        this.#feed = undefined
        feed.end()
      })
    return feed
  }

  /** A statement with rows in a stream runs on it. */
  get streams(): boolean {
    return this.#feed !== undefined
  }

  /** Reads nothing more from the socket until {@link resume}. mysql2's own `pause` would copy what it has read. */
  pause(): void {
    this.#wire.pause()
  }

  resume(): void {
    this.#wire.resume()
  }

  /** The socket, or what encrypts it. */
  get #wire(): Socket {
    return (this.#connection as object as { readonly stream: Socket }).stream
  }

  ping(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connection.ping((error) => (error ? reject(error) : resolve()))
    })
  }

  /** Brings the session back to how it was after opening: one round trip, and one more for the set-up. */
  async reset(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#connection.reset((error) => (error ? reject(error) : resolve()))
    })
    this.#prepared.clear()
    await this.setUp()
    this.dirty = false
    this.inTransaction = false
  }

  /** Notes what the reply says about the session. */
  note(result: QueryResult): SessionNews | undefined {
    const news = newsOf(result)
    if (news === undefined) return undefined
    this.inTransaction = news.inTransaction
    if (this.text.heed(news) || news.changed) this.dirty = true
    return news
  }

  /** Says goodbye and closes. */
  end(): void {
    this.broken = true
    this.#connection.end()
    // A server that does not read must not keep the socket.
    after(this.#settings.deadlines, this.#settings.options.clock.now() + 1_000, () => this.#socket.destroy())
  }

  /** Closes at once; what waits for a reply hears of it. */
  destroy(): void {
    this.#lose(undefined)
  }

  unref(): void {
    this.#socket.unref()
  }

  #lose(error: unknown): void {
    if (this.broken) return
    this.broken = true
    this.#socket.destroy()
    this.#feed?.fail(closed())
    this.#settings.lost(this, error)
  }
}

function closed(): Error {
  return Object.assign(new Error('Connection lost: the socket was closed'), {
    code: 'PROTOCOL_CONNECTION_LOST',
  })
}
