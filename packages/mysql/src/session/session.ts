import { misuse, RejectedError } from '@spillway/kit'
import type { FieldPacket, QueryResult, RowDataPacket } from 'mysql2'
import type { PoolContext } from '../pool-context.js'
import type { EndedExecution } from '../server-pool/execution-init.js'
import type { ServerPool } from '../server-pool/server-pool.js'
import type { Statement } from '../statement/statement.js'
import { Position } from '../topology/position.js'
import { SessionPosition } from '../topology/session-position.js'
import { borrow, type Place } from './borrow.js'
import {
  bothOf,
  type CallContext,
  checkOutside,
  leftOf,
  MysqlConnection,
  run,
  shapeOf,
  timeoutOf,
} from './connection.js'
import { Loader, type LoaderOptions } from './loader.js'
import type { LoaderKey } from './loader-key.js'
import type { Queryable, QueryOptions, StreamOptions, TransactionOptions } from './queryable.js'
import { RowStream } from './row-stream.js'
import { enclosingTransaction, type Transaction, transact } from './transaction.js'

export interface SessionOptions {
  /** What {@link MysqlSession.token} of an earlier session was: reads see what that one wrote. Default: none. */
  readonly token?: string | undefined
  /** Ends all its calls. Default: none. */
  readonly signal?: AbortSignal | undefined
  /** Of each call. Default: the pool's. */
  readonly timeout?: QueryOptions['timeout'] | undefined
  /** Of all calls together: from now on they share it. `false`: none. Default: `false`. */
  readonly deadline?: QueryOptions['timeout'] | undefined
  /** Called with the refusal of each of its calls, before the caller gets it. Default: none. */
  readonly refused?: ((error: RejectedError) => void) | undefined
}

/** Calls that belong together, as those of one request do: its reads see its own writes, on whatever server. */
export class MysqlSession implements Queryable {
  readonly #pool: PoolContext
  readonly #context: CallContext
  readonly #position: SessionPosition
  readonly #refused: ((error: RejectedError) => void) | undefined
  #queries = 0
  #milliseconds = 0

  /** @internal */
  constructor(
    pool: PoolContext,
    { token, signal, timeout, deadline, refused }: SessionOptions = {},
    position = token === undefined ? new SessionPosition() : SessionPosition.ofToken(token),
  ) {
    this.#pool = pool
    this.#refused = refused
    const milliseconds = timeout === undefined ? pool.timeout : timeoutOf(timeout)
    const deadlineAt = deadline === undefined ? undefined : pool.options.clock.now() + timeoutOf(deadline)
    this.#context = { statements: pool.statements, owner: this, timeout: milliseconds, signal, deadlineAt }
    this.#position = position
  }

  /** Says what has been written, for a later session in any process; empty when nothing was. Opaque. */
  get token(): string {
    return String(this.#position)
  }

  /** Statements that ended, and milliseconds spent on them. */
  get usage(): { readonly queries: number; readonly milliseconds: number } {
    return { queries: this.#queries, milliseconds: this.#milliseconds }
  }

  query<T extends QueryResult = QueryResult>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<[T, FieldPacket[]]> {
    return this.#call<T>(sql, false, values, options)
  }

  execute<T extends QueryResult = QueryResult>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<[T, FieldPacket[]]> {
    return this.#call<T>(sql, true, values, options)
  }

  async one<Row extends object = RowDataPacket>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<Row | undefined> {
    const [rows] = await this.#call<RowDataPacket[]>(sql, true, values, options)
    return rows[0] as Row | undefined
  }

  /** Runs the function in a transaction: COMMIT when it returns, ROLLBACK when it throws. See {@link TransactionOptions}. */
  async transaction<T>(
    work: (tx: Transaction) => Promise<T> | T,
    options: TransactionOptions = {},
  ): Promise<T> {
    const pool = this.#pool
    const joined = enclosingTransaction(pool)
    if (joined !== undefined) return joined.transaction(work)
    const host = {
      ...this.#context,
      pool: pool.identity,
      traces: pool.traces,
      writer: () => pool.topology.writer,
      retried: (attempt: number) => pool.retried(attempt),
    }
    try {
      return await transact(host, work, options, options.retries ?? pool.options.retries)
    } catch (error) {
      this.failed(error)
      throw error
    }
  }

  /** A connection for the function alone, for what needs one session: locks, temporary tables, variables. */
  async withConnection<T>(
    work: (connection: MysqlConnection) => Promise<T> | T,
    { timeout, signal, on = 'primary' }: QueryOptions = {},
  ): Promise<T> {
    const pool = this.#pool
    enclosingTransaction(pool)
    const both = bothOf(signal, this.#context.signal)
    const first = on === 'replica' ? await pool.topology.reader(this.#position.current) : pool.topology.writer
    const another = on === 'replica' ? (failed: ServerPool) => this.another(failed) : undefined
    const context = both === this.#context.signal ? this.#context : { ...this.#context, signal: both }
    const trace = pool.traces.above(this.withConnection, first.clock.now())
    let place: Place
    try {
      place = await borrow(first, { timeout: leftOf(context, first, timeout), signal: both, trace, another })
    } catch (error) {
      this.failed(error)
      throw error
    }
    const { node, connection } = place
    const handle = new MysqlConnection(context, place)
    try {
      return await work(handle)
    } finally {
      handle.finish()
      node.release(connection)
    }
  }

  /**
   * The rows one by one, as an async iterable with back-pressure. `timeout` bounds the wait for a connection and for
   * each row. Leaving the loop early stops the statement.
   */
  stream<Row extends object = RowDataPacket>(
    sql: string,
    values?: readonly unknown[],
    options: StreamOptions = {},
  ): AsyncGenerator<Row, void> {
    const { timeout, signal, on, readAhead = 64 } = options
    return new RowStream<Row>(
      async () => {
        const pool = this.#pool
        enclosingTransaction(pool)
        const statement = pool.statements.of(sql)
        checkOutside(statement)
        const node = await this.#nodeFor(statement, on)
        const question = {
          statement,
          values,
          timeout: leftOf(this.#context, node, timeout, sql),
          signal: bothOf(signal, this.#context.signal),
          another:
            statement.isRead && on !== 'primary' ? (failed: ServerPool) => this.another(failed) : undefined,
          shape: shapeOf(options),
          readAhead: readAheadOf(readAhead),
        }
        return [node, question]
      },
      (error) => this.failed(error),
    )
  }

  /** Looks rows up by a unique key, all lookups of one turn in one query. */
  loader<Row extends object = RowDataPacket, Key extends LoaderKey = LoaderKey>(
    options: LoaderOptions,
  ): Loader<Row, Key> {
    return new Loader<Row, Key>(this, options)
  }

  /** @internal */
  wrote(text: string | undefined): void {
    const position = text === undefined ? undefined : Position.parse(text)
    this.#position.note(position)
    this.#pool.wrote(this.#position, position)
  }

  /** @internal */
  another(failed: ServerPool): ServerPool | undefined {
    return this.#pool.topology.another(
      failed,
      this.#pool.sessionReads ? this.#position.current : Position.START,
    )
  }

  /** @internal */
  ran(execution: EndedExecution, now: number, rows: number, error: unknown): void {
    this.#queries++
    this.#milliseconds += now - execution.askedAt
    this.#pool.ran(execution, now, rows, error)
  }

  /** @internal */
  failed(error: unknown): void {
    if (this.#refused !== undefined && error instanceof RejectedError) this.#refused(error)
  }

  #call<T extends QueryResult>(
    sql: string,
    prepared: boolean,
    values: readonly unknown[] | undefined,
    options: QueryOptions | undefined,
  ): Promise<[T, FieldPacket[]]> {
    try {
      const joined = enclosingTransaction(this.#pool)
      if (joined !== undefined) {
        return prepared ? joined.execute<T>(sql, values, options) : joined.query<T>(sql, values, options)
      }
      const statement = this.#pool.statements.of(sql)
      checkOutside(statement)
      const node = this.#nodeFor(statement, options?.on)
      const context = this.#context
      if (!(node instanceof Promise)) return run<T>(context, { node }, statement, prepared, values, options)
      return node.then((chosen) => run<T>(context, { node: chosen }, statement, prepared, values, options))
    } catch (error) {
      this.failed(error)
      return Promise.reject(error)
    }
  }

  #nodeFor(statement: Statement, on: QueryOptions['on']): ServerPool | Promise<ServerPool> {
    const { topology, sessionReads } = this.#pool
    if (!topology.hasReplicas || !statement.isRead || on === 'primary') return topology.writer
    return topology.reader(sessionReads ? this.#position.current : Position.START)
  }
}

/** @throws RangeError `ERR_MYSQL_OPTION` */
function readAheadOf(rows: number): number {
  if (Number.isInteger(rows) && rows > 0) return rows
  throw misuse(RangeError, 'ERR_MYSQL_OPTION', `readAhead of a stream must be an integer > 0, not ${rows}`)
}
