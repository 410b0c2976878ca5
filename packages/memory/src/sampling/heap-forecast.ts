/** Time that a replacement needs to start, and this process to drain, in milliseconds. */
const AHEAD = 5_000
/** Below this share of the limit there is time for more full collections: no forecast is needed. */
const FULL_ENOUGH = 0.7
/** V8GcMeter that a rise is seen by. */
const RISES = 3

/**
 * Linear forecast of the live heap. A heap that leaks fast can fill up between a few samples; what each full collection
 * leaves alive shows the growth earlier. Growth counts when the last three
 * collections have each left more than the one before; the longer none has come since, the less.
 */
export class HeapForecast {
  #rising: { readonly at: number; readonly bytes: number }[] = []

  /** A full collection has left so many bytes alive. */
  add(bytes: number, at: number): void {
    const before = this.#rising.at(-1)
    if (before !== undefined && bytes <= before.bytes) this.#rising = []
    // Several collections between two looks are one.
    if (before !== undefined && before.at === at) this.#rising.pop()
    this.#rising.push({ at, bytes })
    if (this.#rising.length > RISES) this.#rising.shift()
  }

  /** Bytes alive in some seconds, if it goes on like this; `live` when nothing says that it will. */
  ahead(live: number, limit: number, now: number): number {
    const [first] = this.#rising
    const last = this.#rising.at(-1)
    if (this.#rising.length < RISES || first === undefined || last === undefined) return live
    if (live < FULL_ENOUGH * limit || now <= first.at) return live
    return live + ((last.bytes - first.bytes) / (now - first.at)) * AHEAD
  }
}
