import type { RejectedError } from '@spillway/kit'
import { overloaded, queueFull } from '../errors.js'
import type { PoolOptions } from '../options.js'
import type { ServerPoolMeter } from './node-stats.js'

/** Admission control of the queue: refuses an acquire when the queue is full, or would take longer than the caller can wait. */
export class Admission {
  readonly #node: string
  readonly #options: PoolOptions
  readonly #meter: ServerPoolMeter

  constructor(node: string, options: PoolOptions, meter: ServerPoolMeter) {
    this.#node = node
    this.#options = options
    this.#meter = meter
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
    const expected = (this.#meter.heldMs * (waiting + 1)) / connections
    if (!waitForConnections || (queueLimit !== false && queueLimit > 0 && waiting >= queueLimit)) {
      return queueFull(this.#node, waiting, expected)
    }
    const isKnown = this.#meter.isHeldMsKnown && waiting >= connections
    return refuseEarly && isKnown && expected > patience
      ? overloaded(this.#node, waiting, expected)
      : undefined
  }
}
