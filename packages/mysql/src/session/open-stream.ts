import { offAbort, onAbort } from '@spillway/kit'
import type { RowDataPacket } from 'mysql2'
import { killChannel } from '../channels.js'
import type { Occupant } from '../connection/connection-use.js'
import type { DriverConnection } from '../connection/driver-connection.js'
import type { RowFeed } from '../connection/row-feed.js'
import type { RowShape } from '../connection/row-reading.js'
import { isConnectionFailure, presentable } from '../errno.js'
import { MysqlConnectionLostError, MysqlTimeoutError } from '../errors.js'
import type { ServerPool } from '../server-pool/server-pool.js'
import type { Statement } from '../statement/statement.js'
import { checkText, textFor } from '../statement/values.js'
import { borrow } from './borrow.js'

export interface StreamRequest {
  readonly statement: Statement
  readonly values: readonly unknown[] | undefined
  /** Milliseconds until the connection is there, and until the next row when the loop waits for one. */
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  /** Another server for a statement that may run there as well. */
  readonly another: ((failed: ServerPool) => ServerPool | undefined) | undefined
  readonly shape: RowShape | undefined
  readonly readAhead: number
}

/** A statement whose rows are on their way over a connection of its own. */
export class StreamExecution implements Occupant {
  readonly kind = 'stream'
  readonly caller = undefined
  readonly isStopping = false
  readonly #feed: RowFeed<RowDataPacket>
  readonly #node: ServerPool
  readonly #connection: DriverConnection
  readonly #question: StreamRequest
  /** A row has been given, so that the statement cannot be run again. */
  begun = false
  #closed: Promise<void> | undefined

  private constructor(node: ServerPool, connection: DriverConnection, question: StreamRequest) {
    const { statement, values, signal, shape, readAhead } = question
    signal?.throwIfAborted()
    this.#node = node
    this.#connection = connection
    this.#question = question
    connection.use.occupy(this, statement.sql)
    if (statement.dirties) connection.session.soil()
    this.#feed = connection.stream(
      textFor(connection.session, statement, values, node.options.timezone),
      shape,
      readAhead,
    )
    if (signal !== undefined) onAbort(signal, this.#onAbort)
  }

  /** Waits for a connection and sends the statement. */
  static async of(node: ServerPool, question: StreamRequest): Promise<StreamExecution> {
    const { statement, values, timeout, signal, another } = question
    checkText(statement, values)
    const place = await borrow(node, { timeout, signal, another })
    try {
      return new StreamExecution(place.node, place.connection, question)
    } catch (error) {
      place.node.release(place.connection)
      throw error
    }
  }

  /** Its server is down. Whoever waits for the first row hears that the connection is lost, and asks another server. */
  move(): void {
    if (this.elsewhere !== undefined) this.#connection.destroy()
  }

  /** Another server that the statement can be run on instead. */
  get elsewhere(): ServerPool | undefined {
    return this.begun ? undefined : this.#question.another?.(this.#node)
  }

  /** Whether {@link StreamExecution.take} has a row. */
  get ready(): boolean {
    return this.#feed.size > 0
  }

  take(): RowDataPacket | undefined {
    return this.#feed.take()
  }

  /** The next row; `undefined` when there are no more, and the connection is given back. */
  async next(): Promise<RowDataPacket | undefined> {
    try {
      const row = this.#feed.take() ?? (await this.#awaited())
      if (row === undefined) await this.close()
      return row
    } catch (error) {
      const { statement, signal } = this.#question
      await this.close(error instanceof MysqlTimeoutError ? 'timeout' : signal?.aborted ? 'abort' : 'stream')
      throw isConnectionFailure(error)
        ? lost(this.#node, statement.sql, error)
        : presentable(error, statement.sql)
    }
  }

  async #awaited(): Promise<RowDataPacket | undefined> {
    const { timeout, statement } = this.#question
    const limit = this.#node.deadlines.after(this.#node.clock.now() + timeout, () =>
      this.#feed.fail(new MysqlTimeoutError(timeout, 'stream', 'none', statement.sql)),
    )
    try {
      await this.#feed.change()
    } finally {
      this.#node.deadlines.remove(limit)
    }
    return this.#feed.take()
  }

  /** Stops the statement if it still runs, and gives the connection back. A second call gets the same promise. */
  close(reason: 'timeout' | 'abort' | 'stream' = 'stream'): Promise<void> {
    this.#closed ??= this.#close(reason)
    return this.#closed
  }

  async #close(reason: 'timeout' | 'abort' | 'stream'): Promise<void> {
    const { signal } = this.#question
    if (signal !== undefined) offAbort(signal, this.#onAbort)
    this.#feed.end()
    this.#connection.use.vacate()
    if (this.#connection.streams) await quieten(this.#node, this.#connection, reason)
    this.#node.release(this.#connection)
  }

  readonly #onAbort = () => this.#feed.fail(this.#question.signal?.reason)
}

/** Stops the statement, and waits for the end of what the server still sends, but not for long. */
async function quieten(
  node: ServerPool,
  connection: DriverConnection,
  reason: 'timeout' | 'abort' | 'stream',
): Promise<void> {
  if (connection.isBroken) return
  const { deadlines, options } = node
  let how: 'stopped' | 'cut' = 'stopped'
  const cut = () => {
    how = 'cut'
    connection.destroy()
  }
  const limit = deadlines.after(node.clock.now() + Math.max(1, options.killGrace), cut)
  // What the server still sends must not hold up its answer to the kill.
  connection.pause()
  try {
    const killed = node.kill(connection)
    if (killed === undefined) cut()
    else {
      await killed
      connection.resume()
      // Answered only after everything before it: what is left of the rows is dropped until then.
      await connection.command('DO 0')
    }
  } catch (error) {
    if (isConnectionFailure(error) || connection.isBroken) cut()
  } finally {
    deadlines.remove(limit)
    killChannel.publish(() => ({ pool: node.pool, node: node.name, reason, how }))
  }
}

function lost(node: ServerPool, sql: string, cause: unknown): MysqlConnectionLostError {
  return new MysqlConnectionLostError(node.name, { cause, sql, inTransaction: false, outcome: 'none' })
}
