import { performance } from 'node:perf_hooks'

/** Milliseconds, from any beginning. */
export interface Stopwatch {
  now(): number
}

/** Work that may take a share of the time: each piece is timed, and the next waits until its cost is a small part again. */
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

  /** Does the work when its time has come; `undefined` when it has not. */
  spend<Result>(work: () => Result): Result | undefined {
    const start = this.#clock.now()
    if (start < this.#next) return undefined
    const result = work()
    const end = this.#clock.now()
    this.#next = end + Math.max(this.#pause, (end - start) / this.#share)
    return result
  }
}
