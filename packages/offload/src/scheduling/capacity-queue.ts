import { abortable } from '@spillway/kit'

/**
 * Backpressure: a FIFO queue of producers that wait for room. Each free place is granted to one of them. A grant counts as
 * used until the next turn of the event loop; by then its owner has made a call or has not.
 */
export class CapacityQueue {
  readonly #waiting = new Set<() => void>()
  readonly #capacity: () => number
  #granted = 0
  #turning = false
  #closed = false

  constructor(capacity: () => number) {
    this.#capacity = capacity
  }

  /** Resolves when there is room; rejects with `signal.reason`. */
  async wait(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (this.#closed) return
    if (this.#waiting.size === 0 && this.#capacity() > this.#granted) {
      this.#grant()
      return
    }
    let grant = () => {}
    const granted = new Promise<void>((resolve) => {
      grant = resolve
    })
    this.#waiting.add(grant)
    try {
      await abortable(granted, signal)
    } catch (error) {
      // A grant that came together with the abort goes back when the event loop turns.
      this.#waiting.delete(grant)
      throw error
    }
  }

  /** Grants free places to waiting producers. Call it when room may have become free. */
  offer(): void {
    if (this.#waiting.size === 0) return
    let room = this.#capacity() - this.#granted
    for (const grant of this.#waiting) {
      if (room-- <= 0) return
      this.#waiting.delete(grant)
      this.#grant()
      grant()
    }
  }

  /** Resolves all waits, now and later: the calls that follow are refused by the closed offloader. */
  close(): void {
    this.#closed = true
    for (const grant of this.#waiting) grant()
    this.#waiting.clear()
  }

  #grant(): void {
    this.#granted++
    if (this.#turning) return
    this.#turning = true
    setImmediate(() => {
      this.#turning = false
      this.#granted = 0
      this.offer()
    })
  }
}
