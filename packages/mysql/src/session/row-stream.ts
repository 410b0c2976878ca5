import { retryChannel } from '../channels.js'
import { MysqlConnectionLostError } from '../errors.js'
import type { ServerPool } from '../server-pool/server-pool.js'
import { StreamExecution, type StreamRequest } from './open-stream.js'

type Next<Row> = Promise<IteratorResult<Row, void>>

/**
 * The rows of a statement, one by one, as an async generator gives them; written out, because a generator's own steps would
 * cost as much as the driver's work on a row. The server's sending is held back to the pace of the loop; leaving the
 * loop early stops the statement on the server.
 */
export class RowStream<Row extends object> implements AsyncGenerator<Row, void, unknown> {
  readonly #ask: () => Promise<readonly [ServerPool, StreamRequest]>
  readonly #failed: (error: unknown) => void
  #open: StreamExecution | undefined
  #over = false
  /** What has been asked for and takes longer than a step; further calls come after it. */
  #pending: Promise<unknown> | undefined

  /**
   * @param ask is called with the first step, and may fail then
   * @param failed hears what a step fails with
   */
  constructor(ask: () => Promise<readonly [ServerPool, StreamRequest]>, failed: (error: unknown) => void) {
    this.#ask = ask
    this.#failed = failed
  }

  next(): Next<Row> {
    if (this.#pending === undefined && this.#open?.ready) {
      return Promise.resolve({ done: false, value: this.#open.take() as object as Row })
    }
    return this.#inTurn(() => this.#step())
  }

  /** Leaves early: resolves when the statement is stopped and its connection is free. */
  return(): Next<Row> {
    return this.#inTurn(async () => {
      await this.#leave()
      return { done: true, value: undefined }
    })
  }

  throw(error: unknown): Next<Row> {
    return this.#inTurn(async () => {
      await this.#leave()
      throw error
    })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #inTurn(work: () => Next<Row>): Next<Row> {
    const turn = this.#pending === undefined ? work() : this.#pending.then(work)
    const settled: Promise<unknown> = turn
      .catch(() => {})
      .then(() => {
        if (this.#pending === settled) this.#pending = undefined
      })
    this.#pending = settled
    return turn
  }

  async #step(): Next<Row> {
    if (this.#over) return { done: true, value: undefined }
    try {
      const row = await (this.#open?.next() ?? this.#first())
      if (row !== undefined) return { done: false, value: row as object as Row }
    } catch (error) {
      this.#over = true
      this.#failed(error)
      throw error
    }
    this.#over = true
    return { done: true, value: undefined }
  }

  /** A statement whose connection is lost before its first row is run once more, on another server. */
  async #first(): Promise<object | undefined> {
    const [node, question] = await this.#ask()
    const first = await StreamExecution.of(node, question)
    this.#open = first
    try {
      return begun(first, await first.next())
    } catch (error) {
      const other = error instanceof MysqlConnectionLostError ? first.elsewhere : undefined
      if (other === undefined) throw error
      const { pool, name } = node
      retryChannel.publish(() => ({ pool, node: name, what: 'read', attempt: 1, reason: String(error) }))
      const second = await StreamExecution.of(other, question)
      this.#open = second
      return begun(second, await second.next())
    }
  }

  async #leave(): Promise<void> {
    this.#over = true
    const open = this.#open
    // What is in store is not for anybody now.
    this.#open = undefined
    await open?.close()
  }
}

function begun(open: StreamExecution, row: object | undefined): object | undefined {
  open.begun = true
  return row
}
