/**
 * Tells which of many things, all with the same patience, have waited too long. One timer for all, set for the oldest:
 * a timer for each would cost more than the call that it guards.
 */
export class Deadlines<T> {
  /** When each began to wait; the oldest first, as a Map keeps its order. */
  readonly #waiting = new Map<T, number>()
  readonly #patience: number
  readonly #late: (item: T) => void
  #timer: NodeJS.Timeout | undefined

  /** @param patience milliseconds */
  constructor(patience: number, late: (item: T) => void) {
    this.#patience = patience
    this.#late = late
  }

  get size(): number {
    return this.#waiting.size
  }

  add(item: T, now: number): void {
    this.#waiting.set(item, now)
    if (this.#timer === undefined) this.#timer = setTimeout(this.#look, this.#patience)
    else if (this.#waiting.size === 1) this.#timer.ref()
  }

  /** Tells whether it still waited. */
  delete(item: T): boolean {
    const waited = this.#waiting.delete(item)
    // A timer with nothing to guard keeps no process alive.
    if (this.#waiting.size === 0) this.#timer?.unref()
    return waited
  }

  /** Nothing waits any more; returns what did. */
  drain(): readonly T[] {
    const items = [...this.#waiting.keys()]
    this.#waiting.clear()
    clearTimeout(this.#timer)
    this.#timer = undefined
    return items
  }

  // After a pause of this process its timers fire before it reads what came meanwhile: read once more, then judge.
  readonly #look = () => setImmediate(this.#judge)

  readonly #judge = (): void => {
    this.#timer = undefined
    const now = performance.now()
    for (const [item, since] of this.#waiting) {
      const left = since + this.#patience - now
      if (left > 0) {
        clearTimeout(this.#timer)
        this.#timer = setTimeout(this.#look, Math.ceil(left))
        return
      }
      this.#late(item)
    }
  }
}
