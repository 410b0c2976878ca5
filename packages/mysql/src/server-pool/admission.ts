import type { RejectedError } from '@spillway/kit'
import { overloaded, queueFull } from '../errors.js'
import type { PoolOptions } from '../options.js'

/** How fast the average of how long connections are held follows: a tenth of each new value. */
const FOLLOW = 0.1
/** Before that many connections have come back, the average says nothing. */
const ENOUGH = 20

/** Admission control of the queue: refuses an acquire when the queue is full, or would take longer than the caller can wait. */
export class Admission {
  readonly #node: string
  readonly #options: PoolOptions
  #heldMs = 0
  #returned = 0

  constructor(node: string, options: PoolOptions) {
    this.#node = node
    this.#options = options
  }

  /** A connection came back after so many milliseconds. */
  returned(heldMs: number): void {
    this.#returned++
    this.#heldMs += (heldMs - this.#heldMs) * (this.#returned > ENOUGH ? FOLLOW : 1 / this.#returned)
  }

  /**
   * The refusal; `undefined` when the acquire may wait.
   *
   * @param waiting acquires in the queue
   * @param connections connections that the queue waits for
   * @param patience milliseconds the caller can wait
   */
  refusal(waiting: number, connections: number, patience: number): RejectedError | undefined {
    const { queueLimit, refuseEarly, waitForConnections } = this.#options
    const expected = (this.#heldMs * (waiting + 1)) / connections
    if (!waitForConnections || (queueLimit !== false && queueLimit > 0 && waiting >= queueLimit)) {
      return queueFull(this.#node, waiting, expected)
    }
    const isKnown = this.#returned > ENOUGH && waiting >= connections
    return refuseEarly && isKnown && expected > patience
      ? overloaded(this.#node, waiting, expected)
      : undefined
  }
}
