/** Something that waits; a link of the chain of all that do, the oldest first. */
export interface Waiting<T> {
  /** Milliseconds of `performance.now()`. */
  readonly since: number
  /** It waits no more. */
  over: boolean
  before: T | undefined
  after: T | undefined
}

/**
 * Tells which of many things, all with the same patience, have waited too long. One timer for all, set for the oldest: a
 * timer for each, or a Map, would cost more than the call that it guards. What is over leaves the chain at once: kept until
 * the timer, everything answered meanwhile would be copied by the garbage collector again and again.
 */
export class Deadlines<T extends Waiting<T>> {
  #first: T | undefined
  #last: T | undefined
  /**
   * The last one that ended. With it its classes stay alive, since V8 drops what it has compiled for a class that has no
   * instance at a collection.
   */
  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: it is there to be there
  #kept: T | undefined
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
    item.before = this.#last
    if (this.#last === undefined) this.#first = item
    else this.#last.after = item
    this.#last = item
    this.#size++
    if (this.#timer === undefined) this.#timer = setTimeout(this.#look, this.#patience)
    else if (this.#size === 1) this.#timer.ref()
  }

  /** Ends the waiting; tells whether it still waited. */
  end(item: T): boolean {
    if (item.over) return false
    item.over = true
    const { before, after } = item
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    item.before = undefined
    item.after = undefined
    this.#kept = item
    // A timer with nothing to guard keeps no process alive.
    if (--this.#size === 0) this.#timer?.unref()
    return true
  }

  /** Nothing waits any more; returns what did. */
  drain(): readonly T[] {
    const waiting: T[] = []
    for (let item = this.#first; item !== undefined; item = this.#first) {
      this.end(item)
      waiting.push(item)
    }
    clearTimeout(this.#timer)
    this.#timer = undefined
    return waiting
  }

  // After a pause of this process its timers fire before it reads what came meanwhile: read once more, then judge.
  readonly #look = () => setImmediate(this.#judge)

  readonly #judge = (): void => {
    this.#timer = undefined
    const now = performance.now()
    for (let item = this.#first; item !== undefined; item = this.#first) {
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
