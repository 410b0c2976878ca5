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
import { connectionClosed, isConnectionFailure, notBegun } from '../errno.js'
import type { PoolOptions } from '../options.js'
import { ConnectionUse } from './connection-use.js'
import type { Deadlines } from './deadlines.js'
import { driverOptions } from './driver-options.js'
import { type Flavour, flavourOf, sessionStatements } from './reply-status.js'
import { RowFeed } from './row-feed.js'
import { asSent, exactly, INTERNAL_ROWS, OBJECTS, type RowShape, shaped } from './row-reading.js'
import type { Server } from './servers.js'
import { SessionState } from './session-state.js'

const tracing = tracingChannel('mysql2:execute')

/** Its answer has the mode of the session itself, and not that of a stored program that ran before. */
const ASK_MODE = 'SET sql_mode = @@sql_mode'

export type Reply = (error: QueryError | null, result: QueryResult, fields: FieldPacket[]) => void

/** How connections to one server are opened. */
export interface ConnectionSettings {
  readonly server: Server
  readonly options: PoolOptions
  readonly deadlines: Deadlines
  /** Called once, when an open connection is of no more use. */
  lost(connection: DriverConnection, error: unknown): void
  /** The server refused to turn on what was asked of it; what it cannot do is in the message. */
  degraded(message: string): void
}

/** Connection of the driver to one server, with its prepared statements, its session and its use by the pool. */
export class DriverConnection {
  readonly #settings: ConnectionSettings
  readonly #socket: Socket
  readonly #connection: Connection
  /** By their text, in the order of their preparation. */
  readonly #prepared = new Map<string, PrepareStatementInfo>()
  readonly #exact: boolean
  /** The driver has not been told of another shape of rows. */
  readonly #readsObjects: boolean
  /** What the pool records about its use. */
  readonly use = new ConnectionUse()
  /** What the server's replies say about its session. */
  readonly session: SessionState
  #feed: RowFeed<RowDataPacket> | undefined
  #flavour: Flavour = 'mysql'
  #threadId = 0
  #isBroken = false

  private constructor(settings: ConnectionSettings) {
    this.#settings = settings
    const { server, options } = settings
    this.#exact = options.dates === 'exact'
    this.#readsObjects = !options.driver.rowsAsArray && !options.driver.nestTables
    this.session = new SessionState(options.charset.client)
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

  /** What kind of server answers. */
  get flavour(): Flavour {
    return this.#flavour
  }

  /** Its id in the server's process list; 0 when the server has told none. */
  get threadId(): number {
    return this.#threadId
  }

  /** It is of no more use. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** Connects, signs in and sets up the session. Rejects with the server's or the socket's error. */
  static async open(settings: ConnectionSettings, signal?: AbortSignal): Promise<DriverConnection> {
    const opened = new DriverConnection(settings)
    const { deadlines, options } = settings
    let expired = false
    const stop = () => {
      expired = true
      opened.#socket.destroy()
    }
    const timer = deadlines.after(options.clock.now() + options.connectTimeout, stop)
    if (signal !== undefined) onAbort(signal, stop)
    try {
      await opened.#connect()
      await opened.setUp()
      if (signal?.aborted) throw signal.reason
      return opened
    } catch (error) {
      opened.destroy()
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
        this.#flavour = flavourOf(greeting?.serverVersion ?? '')
        this.#threadId = connection.threadId
        resolve()
      })
      // The first one rejects; later ones tell that an open connection is lost.
      connection.on('error', (error: unknown) => {
        reject(error)
        this.#lose(error)
      })
      connection.on('end', () => this.#lose(undefined))
      this.#socket.once('close', () => {
        reject(connectionClosed())
        this.#lose(undefined)
      })
    })
  }

  /** Tells the session how to behave; after opening and after each reset. */
  async setUp(): Promise<void> {
    const { options, degraded } = this.#settings
    if (!options.session) return
    const { needed, tracking } = sessionStatements(this.#flavour, options)
    this.session.begin()
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
    if (this.session.backslashIsPlain) await this.command(ASK_MODE)
    this.session.settled()
  }

  /** Asks how the session reads a backslash; the answer holds for the next statement. */
  async askMode(): Promise<void> {
    await this.command(ASK_MODE)
    this.session.modeKnown()
  }

  /** A statement of our own. */
  command(sql: string): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      this.#connection
        .query(sql, (error: QueryError | null, result: QueryResult) => {
          if (error !== null) return reject(error)
          this.session.noteOwn(result)
          resolve(result)
        })
        .on('fields', asSent as never)
    })
  }

  query(sql: string, shape: RowShape | undefined, reply: Reply): void {
    this.session.sent()
    this.#read(this.#connection.query(sql, reply), shape)
  }

  /** Rows are read as the call wants them, and dates without losing digits. */
  #read(command: Query | undefined, shape: RowShape | undefined): void {
    if (shape === INTERNAL_ROWS) command?.on('fields', asSent as never)
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
    this.session.sent()
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
      const { occupant } = this.use
      if (occupant?.isStopping) return reply(notBegun(), [], [])
      const execute = (): void => this.#executeKnown(statement, sql, values, shape, reply)
      // The driver calls back in the context of its socket.
      if (tracing.hasSubscribers && occupant?.caller) occupant.caller.runInAsyncScope(execute)
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
    this.session.sent()
    const command = this.#connection.query(sql)
    this.#read(command, shape)
    command
      .on('result', (row: RowDataPacket, set?: number) => {
        // An OK packet comes without the number of its result.
        if (set === undefined) this.session.note(row as object as QueryResult)
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
    this.session.renewed()
  }

  /** Says goodbye and closes. */
  end(): void {
    this.#isBroken = true
    this.#connection.end()
    // A server that does not read must not keep the socket.
    const { deadlines, options } = this.#settings
    deadlines.after(options.clock.now() + 1_000, () => this.#socket.destroy())
  }

  /** Closes at once; what waits for a reply hears of it. */
  destroy(): void {
    this.#lose(undefined)
  }

  unref(): void {
    this.#socket.unref()
  }

  #lose(error: unknown): void {
    if (this.#isBroken) return
    this.#isBroken = true
    this.#socket.destroy()
    this.#feed?.fail(connectionClosed())
    this.#settings.lost(this, error)
  }
}
