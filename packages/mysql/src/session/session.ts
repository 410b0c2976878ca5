import { misuse, RejectedError } from '@spillway/kit'
import type { FieldPacket, QueryResult, RowDataPacket } from 'mysql2'
import type { Core } from '../pool-context.js'
import type { Call, CallOwner } from '../server-pool/statement-execution.js'
import type { MysqlNode } from '../server-pool/server-pool.js'
import type { Statement } from '../statement/statement.js'
import { Position } from '../topology/position.js'
import { borrow, type Place } from './borrow.js'
import {
  bothOf,
  type CallContext,
  checkOutside,
  leftOf,
  MysqlConnection,
  run,
  timeoutOf,
} from './connection.js'
import { Loader, type LoaderOptions } from './loader.js'
import type { LoaderKey } from './loader-key.js'
import {
  type Queryable,
  type QueryOptions,
  type StreamOptions,
  shapeOf,
  type TransactionOptions,
} from './queryable.js'
import { RowStream } from './row-stream.js'
import { type Transaction, transact } from './transaction.js'

export interface SessionOptions {
  /** What {@link MysqlSession.token} of an earlier session was: reads see what that one wrote. Default: none. */
  readonly token?: string | undefined
  /** Ends all its calls. Default: none. */
  readonly signal?: AbortSignal | undefined
  /** Of each call. Default: the pool's. */
  readonly timeout?: QueryOptions['timeout'] | undefined
  /** Of all calls together: from now on they share it. `false`: none. Default: `false`. */
  readonly deadline?: QueryOptions['timeout'] | undefined
  /** Hears of each of its calls that is refused, before the caller does. Default: none. */
  readonly refused?: ((error: RejectedError) => void) | undefined
}

/** The token of a session whose last write has no known position: only the primary has it for sure. */
export const PRIMARY = 'primary'

/** Calls that belong together, as those of one request do: its reads see its own writes, on whatever server. */
export class MysqlSession implements Queryable, CallOwner {
  readonly #core: Core
  readonly #context: CallContext
  /** `undefined`: something was written at a position that the server did not tell. */
  #position: Position | undefined
  readonly #refused: ((error: RejectedError) => void) | undefined
  #queries = 0
  #milliseconds = 0

  /** @internal */
  constructor(core: Core, { token, signal, timeout, deadline, refused }: SessionOptions = {}) {
    this.#core = core
    this.#refused = refused
    const milliseconds = timeout === undefined ? core.timeout : timeoutOf(timeout)
    const deadlineAt = deadline === undefined ? undefined : core.options.clock.now() + timeoutOf(deadline)
    this.#context = { statements: core.statements, owner: this, timeout: milliseconds, signal, deadlineAt }
    // Who cannot read the token cannot tell what must be seen, either.
    this.#position = token === undefined || token === '' ? Position.START : Position.ofToken(token)
  }

  /** Says what has been written, for a later session in any process; empty when nothing was. Opaque. */
  get token(): string {
    return this.#position === undefined ? PRIMARY : this.#position.toString()
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
    const core = this.#core
    const joined = core.inside()
    if (joined !== undefined) return joined.transaction(work)
    const host = {
      ...this.#context,
      pool: core.identity,
      callers: core.callers,
      writer: () => core.topology.writer,
      retried: (attempt: number) => core.retried(attempt),
    }
    try {
      return await transact(host, work, options, options.retries ?? core.options.retries)
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
    const core = this.#core
    core.inside()
    const both = bothOf(signal, this.#context.signal)
    const first = on === 'replica' ? await core.topology.reader(this.#position) : core.topology.writer
    const another = on === 'replica' ? (failed: MysqlNode) => this.another(failed) : undefined
    const context = both === this.#context.signal ? this.#context : { ...this.#context, signal: both }
    const stack = core.callers.above(this.withConnection, first.now())
    let place: Place
    try {
      place = await borrow(first, { timeout: leftOf(context, first, timeout), signal: both, stack, another })
    } catch (error) {
      this.failed(error)
      throw error
    }
    const { node, link } = place
    const connection = new MysqlConnection(context, place)
    try {
      return await work(connection)
    } finally {
      connection.finish()
      node.release(link)
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
        const core = this.#core
        core.inside()
        const statement = core.statements.of(sql)
        checkOutside(statement)
        const node = await this.#nodeFor(statement, on)
        const question = {
          statement,
          values,
          timeout: leftOf(this.#context, node, timeout, sql),
          signal: bothOf(signal, this.#context.signal),
          another:
            statement.isRead && on !== 'primary' ? (failed: MysqlNode) => this.another(failed) : undefined,
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
    this.#note(position)
    this.#core.wrote(this, position)
  }

  /** @internal */
  note(position: Position | undefined): void {
    this.#note(position)
  }

  /** @internal */
  another(failed: MysqlNode): MysqlNode | undefined {
    return this.#core.topology.another(failed, this.#core.sessionReads ? this.#position : Position.START)
  }

  /** @internal */
  ran(call: Call, now: number, rows: number, error: unknown): void {
    this.#queries++
    this.#milliseconds += now - call.askedAt
    this.#core.ran(call, now, rows, error)
  }

  /** @internal */
  failed(error: unknown): void {
    if (this.#refused !== undefined && error instanceof RejectedError) this.#refused(error)
  }

  #note(position: Position | undefined): void {
    this.#position = position === undefined ? undefined : (this.#position ?? Position.START).merge(position)
  }

  #call<T extends QueryResult>(
    sql: string,
    prepared: boolean,
    values: readonly unknown[] | undefined,
    options: QueryOptions | undefined,
  ): Promise<[T, FieldPacket[]]> {
    try {
      const joined = this.#core.inside()
      if (joined !== undefined) {
        return prepared ? joined.execute<T>(sql, values, options) : joined.query<T>(sql, values, options)
      }
      const statement = this.#core.statements.of(sql)
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

  #nodeFor(statement: Statement, on: QueryOptions['on']): MysqlNode | Promise<MysqlNode> {
    const { topology, sessionReads } = this.#core
    if (!topology.hasReplicas || !statement.isRead || on === 'primary') return topology.writer
    return topology.reader(sessionReads ? this.#position : Position.START)
  }
}

/** @throws RangeError `ERR_MYSQL_OPTION` */
function readAheadOf(rows: number): number {
  if (Number.isInteger(rows) && rows > 0) return rows
  throw misuse(RangeError, 'ERR_MYSQL_OPTION', `readAhead of a stream must be an integer > 0, not ${rows}`)
}
