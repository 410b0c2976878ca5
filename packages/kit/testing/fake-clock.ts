import type { Clock } from '../src/clock.js'

/** A clock that moves only when told to, forwards. */
export class FakeClock implements Clock {
  #now: number

  constructor(start = 0) {
    this.#now = start
  }

  now = (): number => this.#now

  advance(milliseconds: number): void {
    if (!(milliseconds >= 0)) throw new RangeError(`A clock does not go back: ${milliseconds}`)
    this.#now += milliseconds
  }
}
