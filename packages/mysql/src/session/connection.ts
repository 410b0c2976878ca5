import { durationMs, misuse } from '@spillway/kit'
import type { FieldPacket, QueryResult, RowDataPacket } from 'mysql2'
import type { DriverConnection } from '../connection/driver-connection.js'
import type { RowShape } from '../connection/row-reading.js'
import { MysqlTimeoutError, misplaced, released } from '../errors.js'
import type { ExecutionInit, ExecutionOwner } from '../server-pool/execution-init.js'
import type { ServerPool } from '../server-pool/server-pool.js'
import { StatementExecution } from '../server-pool/statement-execution.js'
import type { Statement, Statements } from '../statement/statement.js'
import { checkText, prepare } from '../statement/values.js'
import type { Queryable, QueryOptions } from './queryable.js'

/** What calls need of their pool. */
export interface CallContext {
  readonly statements: Statements
  readonly owner: ExecutionOwner
  /** Milliseconds, or `Infinity`. */
  readonly timeout: number
  /** Of the transaction or the request around it. */
  readonly signal?: AbortSignal | undefined
  /** When the request around it must be over, on the pool's clock. Default: never. */
  readonly deadlineAt?: number | undefined
}

/** Where and how a call runs: on a node's next free connection, or on the one given. */
export interface CallPlace {
  readonly node: ServerPool
  readonly connection?: DriverConnection
}

/**
 * Milliseconds that a call has: its own time, or what is left of its request's.
 *
 * @throws MysqlTimeoutError when nothing is left
 */
export function leftOf(
  { timeout, deadlineAt }: CallContext,
  node: ServerPool,
  own: QueryOptions['timeout'] = undefined,
  sql?: string,
): number {
  const all = own === undefined ? timeout : timeoutOf(own)
  if (deadlineAt === undefined) return all
  const left = Math.min(all, deadlineAt - node.clock.now())
  if (left <= 0) throw new MysqlTimeoutError(0, 'queue', 'none', sql)
  return left
}

/** @throws TypeError | RangeError | MysqlTimeoutError, or the reason of a signal, when it cannot begin */
export function run<T extends QueryResult>(
  context: CallContext,
  { node, connection }: CallPlace,
  statement: Statement,
  prepared: boolean,
  given: readonly unknown[] | undefined,
  options: QueryOptions | undefined,
): Promise<[T, FieldPacket[]]> {
  if (typeof options === 'function') throw noCallback()
  const { statements, owner } = context
  const signal = bothOf(options?.signal, context.signal)
  if (signal?.aborted) return Promise.reject(signal.reason)
  const { sql, scan, otherwise } = statement
  const timeout = leftOf(context, node, options?.timeout, sql)
  // What stands where in a doubtful text is told by the connection it runs on.
  const usePrepared = prepared && node.options.prepared && otherwise === undefined
  let ready: { sql: string; values: Parameters<typeof prepare>[2] } = { sql, values: given }
  if (usePrepared) ready = prepare(sql, scan, given)
  else checkText(statement, given)
  return new Promise((resolve, reject) => {
    const call = new StatementExecution(
      {
        owner,
        node,
        statement: usePrepared && ready.sql !== sql ? statements.of(sql) : statement,
        sql: ready.sql,
        values: ready.values as ExecutionInit['values'],
        prepared: usePrepared,
        given,
        timeout,
        signal,
        shape: shapeOf(options),
        held: connection !== undefined,
      },
      // The type of the rows is the caller's claim, as in mysql2.
      resolve as (rows: [QueryResult, FieldPacket[]]) => void,
      reject,
    )
    if (connection === undefined) call.submit()
    else call.submitTo(connection)
  })
}

/** The shape of the rows, if the call wants one of its own. */
export function shapeOf(options: RowShape | undefined): RowShape | undefined {
  if (options === undefined) return undefined
  return options.rowsAsArray === undefined && options.nestTables === undefined ? undefined : options
}

function noCallback(): Error {
  return misplaced('A callback is never called: await the promise that the call returns')
}

export function bothOf(
  one: AbortSignal | undefined,
  other: AbortSignal | undefined,
): AbortSignal | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return AbortSignal.any([one, other])
}

/** @throws RangeError `ERR_MYSQL_OPTION` */
export function timeoutOf(timeout: QueryOptions['timeout']): number {
  if (timeout === false) return Number.POSITIVE_INFINITY
  const milliseconds = durationMs(timeout)
  if (milliseconds === undefined || milliseconds <= 0) {
    throw misuse(
      RangeError,
      'ERR_MYSQL_OPTION',
      `The timeout of a call must be a duration > 0 or false, not ${timeout}`,
    )
  }
  return milliseconds
}

/** A connection for your own use, until the function it was given to is done. Its session is cleaned afterwards. */
export class MysqlConnection implements Queryable {
  protected readonly context: CallContext
  protected readonly place: Required<CallPlace>
  #over = false

  /** @internal */
  constructor(context: CallContext, place: Required<CallPlace>) {
    this.context = context
    this.place = place
  }

  async query<T extends QueryResult = QueryResult>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<[T, FieldPacket[]]> {
    return this.call<T>(sql, false, values, options)
  }

  async execute<T extends QueryResult = QueryResult>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<[T, FieldPacket[]]> {
    return this.call<T>(sql, true, values, options)
  }

  async one<Row extends object = RowDataPacket>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<Row | undefined> {
    const [rows] = await this.call<RowDataPacket[]>(sql, true, values, options)
    return rows[0] as Row | undefined
  }

  /** The id of the connection on the server, as in its process list. */
  get threadId(): number {
    return this.place.connection.threadId
  }

  /** @internal From now on it refuses. */
  finish(): void {
    this.#over = true
  }

  protected get over(): boolean {
    return this.#over
  }

  /** What a statement must not be here. */
  protected check(_statement: Statement): void {}

  protected call<T extends QueryResult>(
    sql: string,
    prepared: boolean,
    values: readonly unknown[] | undefined,
    options: QueryOptions | undefined,
  ): Promise<[T, FieldPacket[]]> {
    if (this.#over) throw released(this.what)
    const statement = this.context.statements.of(sql)
    this.check(statement)
    return run<T>(this.context, this.place, statement, prepared, values, options)
  }

  protected get what(): string {
    return 'connection'
  }
}

/** Statements that begin or end a transaction have no place outside of `withConnection`. */
export function checkOutside(statement: Statement): void {
  if (statement.control === 'begin' || statement.control === 'end') {
    throw misplaced(
      'BEGIN, COMMIT and ROLLBACK must run on one connection: use transaction(), or withConnection()',
    )
  }
}
