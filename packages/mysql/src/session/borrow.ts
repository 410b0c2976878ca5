import { offAbort, onAbort } from '@spillway/kit'
import type { Trace } from '../connection/connection-use.js'
import type { DriverConnection } from '../connection/driver-connection.js'
import { PendingAcquire } from '../connection/pending-acquire.js'
import { MysqlUnavailableError } from '../errors.js'
import type { ServerPool } from '../server-pool/server-pool.js'

/** A queued acquire of a connection to keep: for transactions, streams and `withConnection`. */
class BorrowRequest extends PendingAcquire {
  #node: ServerPool
  #moved = false
  readonly #signal: AbortSignal | undefined
  readonly #trace: Trace | undefined
  readonly #another: BorrowOptions['another']
  readonly #resolve: (place: Place) => void
  readonly #reject: (error: unknown) => void

  constructor(
    node: ServerPool,
    { signal, trace, another }: BorrowOptions,
    resolve: (place: Place) => void,
    reject: (error: unknown) => void,
  ) {
    super()
    this.#node = node
    this.#signal = signal
    this.#trace = trace
    this.#another = another
    this.#resolve = resolve
    this.#reject = reject
    if (signal !== undefined) onAbort(signal, this.#onAbort)
  }

  grant(connection: DriverConnection): void {
    this.#node.deadlines.remove(this)
    this.#settle()
    connection.use.traceTo(this.#trace)
    this.#resolve({ node: this.#node, connection })
  }

  move(): void {
    const other = this.#another?.(this.#node)
    if (other === undefined) return
    this.#node.forget(this)
    this.#goTo(other)
  }

  refuse(error: unknown): void {
    const other = error instanceof MysqlUnavailableError ? this.#another?.(this.#node) : undefined
    if (other !== undefined && !this.#moved) {
      this.#moved = true
      this.#goTo(other)
      return
    }
    this.#settle()
    this.#reject(error)
  }

  onDue(): void {
    this.#node.expired(this)
  }

  #goTo(other: ServerPool): void {
    this.#node = other
    other.submit(this, other.clock.now())
  }

  #settle(): void {
    if (this.#signal !== undefined) offAbort(this.#signal, this.#onAbort)
  }

  readonly #onAbort = () => {
    this.#node.forget(this)
    this.#reject(this.#signal?.reason)
  }
}

export interface BorrowOptions {
  /** Milliseconds that it may take, or `Infinity`. */
  readonly timeout: number
  readonly signal?: AbortSignal | undefined
  /** Another server when this one has none to lend, for what may run there as well. */
  readonly another?: ((failed: ServerPool) => ServerPool | undefined) | undefined
  /** Where it was asked for; shown when it is held too long. */
  readonly trace?: Trace | undefined
}

/** A connection, and the node that it must be given back to with `node.release(connection)`. */
export interface Place {
  readonly node: ServerPool
  readonly connection: DriverConnection
}

/** A connection of the node, at once if one is free. */
export function borrow(node: ServerPool, options: BorrowOptions): Place | Promise<Place> {
  const { signal, timeout, trace } = options
  if (signal?.aborted) return Promise.reject(signal.reason)
  const now = node.clock.now()
  const free = node.take(now)
  if (free !== undefined) {
    free.use.traceTo(trace)
    return { node, connection: free }
  }
  return new Promise((resolve, reject) => {
    const waiter = new BorrowRequest(node, options, resolve, reject)
    waiter.deadlineAt = now + timeout
    node.submit(waiter, now)
  })
}
