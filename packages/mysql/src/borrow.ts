import { offAbort, onAbort } from '@spillway/kit'
import type { Link } from './link.js'
import type { MysqlNode } from './node.js'
import { Waiter } from './waiter.js'

/** Waits for a connection to keep: for transactions, streams and `withConnection`. */
class Borrow extends Waiter {
  readonly #node: MysqlNode
  readonly #signal: AbortSignal | undefined
  readonly #stack: (() => string | undefined) | undefined
  readonly #resolve: (link: Link) => void
  readonly #reject: (error: unknown) => void

  constructor(
    node: MysqlNode,
    { signal, stack }: BorrowOptions,
    resolve: (link: Link) => void,
    reject: (error: unknown) => void,
  ) {
    super()
    this.#node = node
    this.#signal = signal
    this.#stack = stack
    this.#resolve = resolve
    this.#reject = reject
    if (signal !== undefined) onAbort(signal, this.#onAbort)
  }

  grant(link: Link): void {
    this.#node.deadlines.remove(this)
    this.#settle()
    link.stack = this.#stack
    this.#resolve(link)
  }

  refuse(error: unknown): void {
    this.#settle()
    this.#reject(error)
  }

  expire(): void {
    this.#node.expired(this)
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
  /** Where it was asked for, for whoever wonders later who holds it. */
  readonly stack?: (() => string | undefined) | undefined
}

/** A connection of the node, at once if one is free, to be given back with `node.release(link)`. */
export function borrow(node: MysqlNode, options: BorrowOptions): Link | Promise<Link> {
  const { signal, timeout, stack } = options
  if (signal?.aborted) return Promise.reject(signal.reason)
  const now = node.now()
  const free = node.take(now)
  if (free !== undefined) {
    free.stack = stack
    return free
  }
  return new Promise((resolve, reject) => {
    const waiter = new Borrow(node, options, resolve, reject)
    waiter.deadlineAt = now + timeout
    node.submit(waiter, now)
  })
}
