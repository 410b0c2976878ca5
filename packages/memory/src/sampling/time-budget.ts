import { performance } from 'node:perf_hooks'

/** A clock that counts milliseconds from any moment. */
export interface Stopwatch {
  now(): number
}

/** Limits work to a share of the time: each piece is timed, and the next one waits until the share is kept again. */
export class TimeBudget {
  readonly #share: number
  readonly #pause: number
  readonly #clock: Stopwatch
  #next = Number.NEGATIVE_INFINITY

  /** `share`: of the time, more than 0. `pause`: milliseconds between two pieces of work, at least. */
  constructor(share: number, pause: number, clock: Stopwatch = performance) {
    this.#share = share
    this.#pause = pause
    this.#clock = clock
  }

  /** Does the work and returns its result; `undefined` when the budget does not allow it yet. */
  spend<Result>(work: () => Result): Result | undefined {
    const start = this.#clock.now()
    if (start < this.#next) return undefined
    const result = work()
    const end = this.#clock.now()
    this.#next = end + Math.max(this.#pause, (end - start) / this.#share)
    return result
  }
}
