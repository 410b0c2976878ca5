import { type Linked, LinkedList } from './linked-list.js'

/** Something that waits, for as long as all of its kind may. */
export interface Waiting extends Linked {
  /** Milliseconds of `performance.now()`. */
  readonly since: number
}

/**
 * Tells which of many things, all with the same patience, have waited too long. One timer for all, set for the oldest: a
 * timer for each, or a Map, would cost more than the call that it guards. What is over leaves the chain at once: kept until
 * the timer, everything answered meanwhile would be copied by the garbage collector again and again.
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
   * @param patience milliseconds
   * @param late told of each that has waited too long; it may {@link end} it, else that is done afterwards
   */
  constructor(patience: number, late: (item: T) => void) {
    this.#patience = patience
    this.#late = late
  }

  /** How many wait. */
  get size(): number {
    return this.#list.size
  }

  /** Begins the waiting. The timer keeps the process alive as long as somebody waits: a server that hangs must not end it in silence. */
  add(item: T): void {
    this.#list.add(item)
    if (this.#timer === undefined) this.#timer = setTimeout(this.#look, this.#patience)
    else if (this.#list.size === 1) this.#timer.ref()
  }

  /** Ends the waiting; tells whether it still waited. */
  end(item: T): boolean {
    if (!this.#list.delete(item)) return false
    this.#kept = item
    if (this.#list.size === 0) this.#timer?.unref()
    return true
  }

  /** Nothing waits any more; returns what did. */
  drain(): readonly T[] {
    const waiting = [...this.#list]
    for (const item of waiting) this.end(item)
    clearTimeout(this.#timer)
    this.#timer = undefined
    return waiting
  }

  // After a pause of this process its timers fire before it reads what came meanwhile: read once more, then judge.
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
