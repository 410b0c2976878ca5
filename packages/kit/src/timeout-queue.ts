import { type Linked, LinkedList } from './linked-list.js'

/** A member of a {@link TimeoutQueue}. */
export interface Waiting extends Linked {
  /** Milliseconds of `performance.now()`. */
  readonly since: number
}

/**
 * Queue of calls with the same timeout, under one timer that is set for the oldest: a timer for each call, or a Map, would cost
 * more than the call itself. A call that ends leaves the queue at once: kept until the timer, all ended calls would be copied
 * by every young collection.
 */
export class TimeoutQueue<T extends Waiting> {
  readonly #list = new LinkedList<T>()
  /**
   * The last one that ended. With it its classes stay alive, since V8 drops what it has compiled for a class that has no
   * instance at a collection.
   */
  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: it is there to be there
  #kept: T | undefined
  readonly #patience: number
  readonly #late: (item: T) => void
  #timer: NodeJS.Timeout | undefined

  /**
   * @param patience the timeout in milliseconds
   * @param late called for each that has waited too long; it may {@link end} the call, which else is done afterwards
   */
  constructor(patience: number, late: (item: T) => void) {
    this.#patience = patience
    this.#late = late
  }

  /** Calls that wait. */
  get size(): number {
    return this.#list.size
  }

  /** Begins the wait. While a call waits, the timer keeps the process alive, so that a server that hangs cannot end it in silence. */
  add(item: T): void {
    this.#list.add(item)
    if (this.#timer === undefined) this.#timer = setTimeout(this.#look, this.#patience)
    else if (this.#list.size === 1) this.#timer.ref()
  }

  /** Ends the wait; returns whether the call still waited. */
  end(item: T): boolean {
    if (!this.#list.delete(item)) return false
    this.#kept = item
    if (this.#list.size === 0) this.#timer?.unref()
    return true
  }

  /** Ends all waits; returns the calls that waited. */
  drain(): readonly T[] {
    const waiting = [...this.#list]
    for (const item of waiting) this.end(item)
    clearTimeout(this.#timer)
    this.#timer = undefined
    return waiting
  }

  // After a pause of this process, timers fire before sockets are read: let the event loop read answers first, then judge.
  readonly #look = () => setImmediate(this.#judge)

  readonly #judge = (): void => {
    this.#timer = undefined
    const now = performance.now()
    for (let item = this.#list.first; item !== undefined; item = this.#list.first) {
      const left = item.since + this.#patience - now
      if (left > 0) {
        clearTimeout(this.#timer)
        this.#timer = setTimeout(this.#look, Math.ceil(left))
        return
      }
      this.#late(item)
      this.end(item)
    }
  }
}
