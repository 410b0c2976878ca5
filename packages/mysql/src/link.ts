import { tracingChannel } from 'node:diagnostics_channel'
import { connect, type Socket } from 'node:net'
import {
  type Connection,
  createConnection,
  type FieldPacket,
  type PrepareStatementInfo,
  type QueryError,
  type QueryResult,
  type RowDataPacket,
} from 'mysql2'
import type { Call } from './call.js'
import type { Deadlines } from './deadlines.js'
import { isConnectionFailure, notBegun } from './errno.js'
import type { PoolOptions, Server } from './options.js'
import { RowFeed } from './row-feed.js'
import { type Flavour, flavourOf, newsOf, type SessionNews, sessionStatements } from './session-state.js'
import { after } from './timer.js'

const tracing = tracingChannel('mysql2:execute')

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

  expiresAt = Number.POSITIVE_INFINITY
  idleSince = 0
  heldSince = 0
  sql: string | undefined
  stack: (() => string | undefined) | undefined
  leakReported = false

  private constructor(settings: LinkSettings) {
    this.#settings = settings
    const { server, options } = settings
    // Our own socket: `destroy()` of mysql2 only closes one half, and leaves who waits on it waiting.
    this.#socket =
      server.socketPath === undefined ? connect(server.port, server.host) : connect(server.socketPath)
    this.#socket.setNoDelay(true)
    this.#socket.setKeepAlive(true, 10_000)
    this.#connection = createConnection({
      ...driverOptions(options),
      // A socket path also tells mysql2 that a password may be sent over it as it is (caching_sha2_password).
      ...(server.socketPath === undefined
        ? { host: server.host, port: server.port }
        : { socketPath: server.socketPath }),
      ...(server.user === undefined ? {} : { user: server.user }),
      ...(server.password === undefined ? {} : { password: server.password }),
      ...(server.database === undefined ? {} : { database: server.database }),
      ...(server.ssl === undefined
        ? {}
        : { ssl: typeof server.ssl === 'string' ? server.ssl : { ...server.ssl } }),
      ...options.driver,
      // A deadline of ours covers the whole opening, and closes the socket.
      connectTimeout: 0,
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
    signal?.addEventListener('abort', stop, { once: true })
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
      signal?.removeEventListener('abort', stop)
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
  async setUp(names = false): Promise<void> {
    const { options, degraded } = this.#settings
    if (!options.session) return
    const { needed, tracking } = sessionStatements(this.flavour, options)
    const first = names ? ['NAMES utf8mb4 COLLATE utf8mb4_unicode_ci', ...needed] : needed
    try {
      await this.command(`SET ${[...first, ...tracking].join(', ')}`)
    } catch (error) {
      if (isConnectionFailure(error)) throw error
      degraded(`no tracking of positions and session state: ${(error as Error).message}`)
      if (first.length > 0) {
        await this.command(`SET ${first.join(', ')}`).catch((reason: unknown) => {
          if (isConnectionFailure(reason)) throw reason
          degraded(`no session settings (time zone, time limit): ${(reason as Error).message}`)
        })
      }
    }
  }

  /** A statement of our own. */
  command(sql: string): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      this.query(sql, (error, result) => {
        if (error !== null) return reject(error)
        const news = newsOf(result)
        if (news !== undefined) this.inTransaction = news.inTransaction
        resolve(result)
      })
    })
  }

  query(sql: string, reply: Reply): void {
    this.#connection.query(sql, reply)
  }

  /** In prepared form; the least recently prepared one makes room when there are more than `budget`. */
  execute(sql: string, values: readonly unknown[] | undefined, budget: number, reply: Reply): void {
    const known = this.#prepared.get(sql)
    if (known !== undefined) {
      this.#executeKnown(known, sql, values, reply)
      return
    }
    while (this.#prepared.size >= budget) this.#unprepareOldest()
    this.#connection.prepare(sql, (error, statement) => {
      if (error !== null) return reply(error, [], [])
      this.#prepared.set(sql, statement)
      // Its time ended during the preparation, and the kill with it: nothing would stop it now.
      if (this.call?.stopping) return reply(notBegun(), [], [])
      const execute = (): void => this.#executeKnown(statement, sql, values, reply)
      // The driver calls back in the context of its socket.
      if (tracing.hasSubscribers && this.call?.caller) this.call.caller.runInAsyncScope(execute)
      else execute()
    })
  }

  #executeKnown(
    statement: PrepareStatementInfo,
    sql: string,
    values: readonly unknown[] = [],
    reply: Reply,
  ): void {
    // The connection's own `execute` looks the statement up again at each call, and tells those who trace.
    if (tracing.hasSubscribers) this.#connection.execute(sql, values as never[], reply)
    else statement.execute(values, reply)
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
  stream(sql: string, readAhead: number): RowFeed<RowDataPacket> {
    const feed = new RowFeed<RowDataPacket>(this, readAhead)
    // mysql2 tells the connection that it is lost, and not its streams.
    this.#feed = feed
    this.#connection
      .query(sql)
      .on('result', (row: RowDataPacket) => feed.push(row))
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
    await this.setUp(true)
    this.dirty = false
    this.inTransaction = false
  }

  /** Notes what the reply says about the session. */
  note(result: QueryResult): SessionNews | undefined {
    const news = newsOf(result)
    if (news === undefined) return undefined
    this.inTransaction = news.inTransaction
    if (news.changed) this.dirty = true
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

function driverOptions({ bigint, timezone, unsafeMultipleStatements }: PoolOptions) {
  return {
    // mysql2 would capture a stack per call, at a fifth to a third of its speed.
    trace: false,
    supportBigNumbers: true,
    bigNumberStrings: bigint !== 'auto',
    dateStrings: ['DATE' as const],
    timezone,
    multipleStatements: unsafeMultipleStatements,
    maxPreparedStatements: 16_000,
    ...(bigint === 'bigint' ? { typeCast: bigints } : {}),
  }
}

/** The driver gives a string, since it is told to. */
function bigints({ type }: { readonly type: string }, next: () => unknown): unknown {
  const value = next()
  return type === 'LONGLONG' && typeof value === 'string' ? BigInt(value) : value
}
