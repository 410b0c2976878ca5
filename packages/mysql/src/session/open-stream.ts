import { offAbort, onAbort } from '@spillway/kit'
import type { RowDataPacket } from 'mysql2'
import { killChannel } from '../channels.js'
import type { Link } from '../connection/driver-connection.js'
import type { RowFeed } from '../connection/row-feed.js'
import type { RowShape } from '../connection/row-reading.js'
import { after } from '../connection/timer.js'
import { isConnectionFailure, presentable } from '../errno.js'
import { MysqlConnectionLostError, MysqlTimeoutError } from '../errors.js'
import type { MysqlNode } from '../server-pool/server-pool.js'
import { textFor } from '../statement/literals.js'
import type { Statement } from '../statement/statement.js'
import { checkText } from '../statement/values.js'
import { borrow } from './borrow.js'

export interface RowQuestion {
  readonly statement: Statement
  readonly values: readonly unknown[] | undefined
  /** Milliseconds until the connection is there, and until the next row when the loop waits for one. */
  readonly timeout: number
  readonly signal: AbortSignal | undefined
  /** Another server for a statement that may run there as well. */
  readonly another: ((failed: MysqlNode) => MysqlNode | undefined) | undefined
  readonly shape: RowShape | undefined
  readonly readAhead: number
}

/** A statement whose rows are on their way over a connection of its own. */
export class OpenStream {
  readonly #feed: RowFeed<RowDataPacket>
  readonly #node: MysqlNode
  readonly #link: Link
  readonly #question: RowQuestion
  /** A row has been given, so that the statement cannot be run again. */
  begun = false
  #closed: Promise<void> | undefined

  private constructor(node: MysqlNode, link: Link, question: RowQuestion) {
    const { statement, values, signal, shape, readAhead } = question
    signal?.throwIfAborted()
    this.#node = node
    this.#link = link
    this.#question = question
    link.reader = this
    link.sql = statement.sql
    if (statement.dirties) link.dirty = true
    this.#feed = link.stream(textFor(link, statement, values, node.options.timezone), shape, readAhead)
    if (signal !== undefined) onAbort(signal, this.#onAbort)
  }

  /** Waits for a connection and sends the statement. */
  static async of(node: MysqlNode, question: RowQuestion): Promise<OpenStream> {
    const { statement, values, timeout, signal, another } = question
    checkText(statement, values)
    const place = await borrow(node, { timeout, signal, another })
    try {
      return new OpenStream(place.node, place.link, question)
    } catch (error) {
      place.node.release(place.link)
      throw error
    }
  }

  /** Its server is down. Whoever waits for the first row hears that the connection is lost, and asks another server. */
  move(): void {
    if (this.elsewhere !== undefined) this.#link.destroy()
  }

  /** Another server that the statement can be run on instead. */
  get elsewhere(): MysqlNode | undefined {
    return this.begun ? undefined : this.#question.another?.(this.#node)
  }

  /** Whether {@link OpenStream.take} has a row. */
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
    const limit = after(this.#node.deadlines, this.#node.now() + timeout, () =>
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
    this.#link.reader = undefined
    if (this.#link.streams) await quieten(this.#node, this.#link, reason)
    this.#node.release(this.#link)
  }

  readonly #onAbort = () => this.#feed.fail(this.#question.signal?.reason)
}

/** Stops the statement, and waits for the end of what the server still sends, but not for long. */
async function quieten(node: MysqlNode, link: Link, reason: 'timeout' | 'abort' | 'stream'): Promise<void> {
  if (link.broken) return
  const { deadlines, options } = node
  let how: 'stopped' | 'cut' = 'stopped'
  const cut = () => {
    how = 'cut'
    link.destroy()
  }
  const limit = after(deadlines, node.now() + Math.max(1, options.killGrace), cut)
  // What the server still sends must not hold up its answer to the kill.
  link.pause()
  try {
    const killed = node.kill(link)
    if (killed === undefined) cut()
    else {
      await killed
      link.resume()
      // Answered only after everything before it: what is left of the rows is dropped until then.
      await link.command('DO 0')
    }
  } catch (error) {
    if (isConnectionFailure(error) || link.broken) cut()
  } finally {
    deadlines.remove(limit)
    killChannel.publish(() => ({ pool: node.pool, node: node.name, reason, how }))
  }
}

function lost(node: MysqlNode, sql: string, cause: unknown): MysqlConnectionLostError {
  return new MysqlConnectionLostError(node.name, { cause, sql, inTransaction: false, outcome: 'none' })
}
