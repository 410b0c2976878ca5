import { EventEmitter } from 'node:events'
import { type CloseOptions, closeOnce, drainWithin } from '@spillway/kit'
import type { FieldPacket, QueryResult, RowDataPacket } from 'mysql2'
import { resolveOptions } from './connection/servers.js'
import type { MysqlPoolEvents } from './events.js'
import type { MysqlPoolOptions } from './options.js'
import { PoolContext } from './pool-context.js'
import type { NodeStats } from './server-pool/node-stats.js'
import type { MysqlConnection } from './session/connection.js'
import { explainExecution } from './session/explain-execution.js'
import type { Loader, LoaderOptions } from './session/loader.js'
import type { LoaderKey } from './session/loader-key.js'
import type { Queryable, QueryOptions, StreamOptions, TransactionOptions } from './session/queryable.js'
import { MysqlSession, type SessionOptions } from './session/session.js'
import type { Transaction } from './session/transaction.js'
import type { StatementSnapshot } from './statement/statement-stats.js'

export interface MysqlPoolStats {
  readonly queries: number
  readonly errors: number
  readonly retries: number
  readonly slow: number
  readonly leaks: number
  /** Over all servers. */
  readonly active: number
  readonly idle: number
  readonly waiting: number
  readonly limit: number
  readonly nodes: readonly (NodeStats & {
    readonly state: string
    readonly role: string
    readonly lagMs: number | undefined
    readonly position: string
  })[]
  /** By form of statement, those that took most time first. */
  readonly statements: readonly StatementSnapshot[]
}

/** What became of the work in progress when the pool was closed. */
export interface DrainReport {
  /** Everything came to its end by itself. */
  readonly finished: boolean
  /** Statements stopped by KILL QUERY. */
  readonly killed: number
  /** Connections that were in use and were cut. */
  readonly destroyed: number
}

const CLOSE_TIMEOUT = 10_000

/**
 * A pool of connections to a MySQL or MariaDB primary and, if there are any, its replicas.
 *
 * ```ts
 * const db = new MysqlPool({ uri: 'mysql://app@10.0.0.1/shop', replicas: ['mysql://10.0.0.2'] })
 * const [rows] = await db.query('SELECT * FROM users WHERE id = ?', [7])
 * ```
 */
export class MysqlPool extends EventEmitter<MysqlPoolEvents> implements Queryable, AsyncDisposable {
  readonly #context: PoolContext
  /** The session of calls on the pool itself. */
  readonly #own: MysqlSession
  #report: Promise<DrainReport> | undefined

  /**
   * @param group pools that share this object refuse each other's transactions
   * @throws TypeError | RangeError `ERR_MYSQL_OPTION`
   */
  constructor(options: MysqlPoolOptions | string, group?: object) {
    super()
    this.#context = new PoolContext(resolveOptions(options), this, group, explainExecution)
    this.#own = new MysqlSession(this.#context, {}, this.#context.written)
  }

  query<T extends QueryResult = QueryResult>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<[T, FieldPacket[]]> {
    return this.#own.query<T>(sql, values, options)
  }

  execute<T extends QueryResult = QueryResult>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<[T, FieldPacket[]]> {
    return this.#own.execute<T>(sql, values, options)
  }

  one<Row extends object = RowDataPacket>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<Row | undefined> {
    return this.#own.one<Row>(sql, values, options)
  }

  /**
   * Runs the function in a transaction: COMMIT when it returns, ROLLBACK when it throws. After a deadlock, a lock
   * timeout or a connection lost before COMMIT the whole function runs again, so it should do nothing that cannot be
   * repeated.
   *
   * @throws MysqlCommitUnknownError when the answer to COMMIT was lost
   */
  transaction<T>(work: (tx: Transaction) => Promise<T> | T, options?: TransactionOptions): Promise<T> {
    return this.#own.transaction(work, options)
  }

  /** A connection for the function alone, for what needs one session: locks, temporary tables, variables. */
  withConnection<T>(
    work: (connection: MysqlConnection) => Promise<T> | T,
    options?: QueryOptions,
  ): Promise<T> {
    return this.#own.withConnection(work, options)
  }

  /** The rows one by one, with back-pressure. Leaving the loop early stops the statement on the server. */
  stream<Row extends object = RowDataPacket>(
    sql: string,
    values?: readonly unknown[],
    options?: StreamOptions,
  ): AsyncGenerator<Row, void> {
    return this.#own.stream<Row>(sql, values, options)
  }

  /** Looks rows up by a unique key, all lookups of one turn of the event loop in one query. */
  loader<Row extends object = RowDataPacket, Key extends LoaderKey = LoaderKey>(
    options: LoaderOptions,
  ): Loader<Row, Key> {
    return this.#own.loader<Row, Key>(options)
  }

  /** Calls that belong together and see each other's writes; with a token, over processes too. */
  session(options?: SessionOptions): MysqlSession {
    return new MysqlSession(this.#context, options)
  }

  stats(): MysqlPoolStats {
    const { nodes, topology, statementStats, count } = this.#context
    const states = topology.states()
    const all = nodes.map((node, i) => ({ ...node.stats(), ...states[i]! }))
    const sum = (name: 'active' | 'idle' | 'waiting' | 'limit') =>
      all.reduce((total, one) => total + one[name], 0)
    return {
      ...count,
      active: sum('active'),
      idle: sum('idle'),
      waiting: sum('waiting'),
      limit: sum('limit'),
      nodes: all,
      statements: statementStats.snapshot(),
    }
  }

  /** {@link MysqlPool.drain}, without the report. */
  readonly close: (options?: CloseOptions) => Promise<void> = closeOnce(async (options) => {
    await this.drain(options)
  })

  /**
   * Refuses new work, lets what waits and runs come to its end for `timeout` (default 10 s), stops the rest, and closes
   * every connection. A second call gets the same report.
   */
  drain(options: CloseOptions = {}): Promise<DrainReport> {
    this.#report ??= this.#drain(options)
    return this.#report
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #drain(options: CloseOptions): Promise<DrainReport> {
    const { nodes, topology, deadlines } = this.#context
    const finished = await drainWithin(Promise.all(nodes.map((node) => node.drain())), options, CLOSE_TIMEOUT)
    const closed = await Promise.all(nodes.map((node) => node.close()))
    topology.close()
    const killed = closed.reduce((sum, one) => sum + one.killed, 0)
    const destroyed = closed.reduce((sum, one) => sum + one.destroyed, 0)
    if (deadlines.size === 0) deadlines.clear()
    return { finished, killed, destroyed }
  }
}
