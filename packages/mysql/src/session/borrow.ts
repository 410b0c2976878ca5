import { offAbort, onAbort } from '@spillway/kit'
import type { Link } from '../connection/driver-connection.js'
import { Waiter } from '../connection/pending-acquire.js'
import { MysqlUnavailableError } from '../errors.js'
import type { MysqlNode } from '../server-pool/server-pool.js'

/** Waits for a connection to keep: for transactions, streams and `withConnection`. */
class Borrow extends Waiter {
  #node: MysqlNode
  #moved = false
  readonly #signal: AbortSignal | undefined
  readonly #stack: (() => string | undefined) | undefined
  readonly #another: BorrowOptions['another']
  readonly #resolve: (place: Place) => void
  readonly #reject: (error: unknown) => void

  constructor(
    node: MysqlNode,
    { signal, stack, another }: BorrowOptions,
    resolve: (place: Place) => void,
    reject: (error: unknown) => void,
  ) {
    super()
    this.#node = node
    this.#signal = signal
    this.#stack = stack
    this.#another = another
    this.#resolve = resolve
    this.#reject = reject
    if (signal !== undefined) onAbort(signal, this.#onAbort)
  }

  grant(link: Link): void {
    this.#node.deadlines.remove(this)
    this.#settle()
    link.stack = this.#stack
    this.#resolve({ node: this.#node, link })
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

  expire(): void {
    this.#node.expired(this)
  }

  #goTo(other: MysqlNode): void {
    this.#node = other
    other.submit(this, other.now())
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
  readonly another?: ((failed: MysqlNode) => MysqlNode | undefined) | undefined
  /** Where it was asked for, for whoever wonders later who holds it. */
  readonly stack?: (() => string | undefined) | undefined
}

/** A connection, and the node that it must be given back to with `node.release(link)`. */
export interface Place {
  readonly node: MysqlNode
  readonly link: Link
}

/** A connection of the node, at once if one is free. */
export function borrow(node: MysqlNode, options: BorrowOptions): Place | Promise<Place> {
  const { signal, timeout, stack } = options
  if (signal?.aborted) return Promise.reject(signal.reason)
  const now = node.now()
  const free = node.take(now)
  if (free !== undefined) {
    free.stack = stack
    return { node, link: free }
  }
  return new Promise((resolve, reject) => {
    const waiter = new Borrow(node, options, resolve, reject)
    waiter.deadlineAt = now + timeout
    node.submit(waiter, now)
  })
}
