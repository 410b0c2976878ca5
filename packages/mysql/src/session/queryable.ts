import type { Duration } from '@spillway/kit'
import type { FieldPacket, QueryResult, RowDataPacket } from 'mysql2'
import type { RowShape } from '../connection/row-reading.js'

/** Of one call. */
export interface QueryOptions extends RowShape {
  /** In all: waiting, connecting, running, fetching. Default: the pool's `timeout`. */
  readonly timeout?: Duration | false
  /** Stops the statement on the server; the call rejects with its reason. */
  readonly signal?: AbortSignal
  /** `'primary'` reads where writes go. Default: by the pool's `reads`. */
  readonly on?: 'primary' | 'replica'
}

/** What can be asked of a pool, a session, a connection and a transaction. */
export interface Queryable {
  /**
   * The text protocol: one round trip, nothing prepared. `?` stands for a value, or for a list of values or of rows;
   * `??` for a name.
   *
   * @throws TypeError `ERR_MYSQL_PARAMETER`, before anything is sent
   * @throws MysqlTimeoutError | MysqlAcquireTimeoutError | MysqlOverloadedError | MysqlUnavailableError |
   *   MysqlConnectionLostError, or the server's own error
   */
  query<T extends QueryResult = QueryResult>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<[T, FieldPacket[]]>
  /** The same in prepared form; lists are expanded, those of `IN (?)` padded to a power of two. */
  execute<T extends QueryResult = QueryResult>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<[T, FieldPacket[]]>
  /** The first row of `execute`, or `undefined`. */
  one<Row extends object = RowDataPacket>(
    sql: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<Row | undefined>
}

export type Isolation = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable'

export interface TransactionOptions {
  /** Default: the server's. */
  readonly isolation?: Isolation
  /** The server refuses writes in it. Default: false. */
  readonly readOnly?: boolean
  /** How often the whole function is run again after a deadlock and the like. Default: the pool's `retries`. */
  readonly retries?: number
  /** Of each statement in it. Default: the pool's. */
  readonly timeout?: Duration | false
  /** Stops the statement that runs, rolls back, and rejects with its reason. */
  readonly signal?: AbortSignal
}

export interface StreamOptions extends QueryOptions {
  /** Rows read ahead of the loop. Default: 64. */
  readonly readAhead?: number
}
