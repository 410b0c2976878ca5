/** Something that waits. */
export interface Waiting {
  /** Milliseconds of `performance.now()`. */
  readonly since: number
  /** It waits no more. */
  over: boolean
}

/**
 * Tells which of many things, all with the same patience, have waited too long. One timer for all, set for the oldest,
 * and a plain queue: a timer for each, or a Map, would cost more than the call that it guards.
 */
export class Deadlines<T extends Waiting> {
  /**
   * The oldest first. Those that are over stay until something comes while nothing waits, or until the timer: with the last
   * one its classes stay alive, since V8 drops what it has compiled for a class that has no instance at a collection.
   */
  #queue: T[] = []
  #size = 0
  readonly #patience: number
  readonly #late: (item: T) => void
  #timer: NodeJS.Timeout | undefined

  /** @param patience milliseconds */
  constructor(patience: number, late: (item: T) => void) {
    this.#patience = patience
    this.#late = late
  }

  /** How many wait. */
  get size(): number {
    return this.#size
  }

  add(item: T): void {
    if (this.#size === 0) this.#queue.length = 0
    this.#queue.push(item)
    this.#size++
    if (this.#timer === undefined) this.#timer = setTimeout(this.#look, this.#patience)
    else if (this.#size === 1) this.#timer.ref()
  }

  /** Ends the waiting; tells whether it still waited. */
  end(item: T): boolean {
    if (item.over) return false
    item.over = true
    // A timer with nothing to guard keeps no process alive.
    if (--this.#size === 0) this.#timer?.unref()
    return true
  }

  /** Nothing waits any more; returns what did. */
  drain(): readonly T[] {
    const waiting = this.#queue.filter(({ over }) => !over)
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
    if (this.#size > 0) this.#queue = this.#queue.filter(({ over }) => !over)
    for (const item of [...this.#queue]) {
      if (item.over) continue
      const left = item.since + this.#patience - now
      if (left > 0) {
        clearTimeout(this.#timer)
        this.#timer = setTimeout(this.#look, Math.ceil(left))
        return
      }
      this.#late(item)
    }
  }
}
