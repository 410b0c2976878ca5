const FAILURES_TO_OPEN = 3
const FIRST_PAUSE = 250
const LONGEST_PAUSE = 5_000

/**
 * Whether a node is worth asking. After three failures in a row it is left alone, for 250 ms at first and twice as
 * long each time, 5 s at most, a little less by chance so that processes do not come back all at once. Then one call
 * goes through; its answer decides.
 */
export class Breaker {
  #failures = 0
  #pauses = 0
  #retryAt = 0
  #probing = false
  #open = false

  get open(): boolean {
    return this.#open
  }

  /** Milliseconds until the next attempt. */
  pauseLeft(now: number): number {
    return this.#open ? Math.max(0, this.#retryAt - now) : 0
  }

  admits(now: number): boolean {
    if (!this.#open) return true
    if (this.#probing || now < this.#retryAt) return false
    this.#probing = true
    return true
  }

  /** Tells whether this closed it. */
  succeeded(): boolean {
    const wasOpen = this.#open
    this.#failures = 0
    this.#pauses = 0
    this.#probing = false
    this.#open = false
    return wasOpen
  }

  /** Tells whether this opened it. */
  failed(now: number): boolean {
    const wasOpen = this.#open
    if (++this.#failures < FAILURES_TO_OPEN) return false
    // Calls that were under way when it opened fail too; they say nothing new.
    if (wasOpen && !this.#probing) return false
    this.#probing = false
    this.#open = true
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#pauses++, LONGEST_PAUSE)
    this.#retryAt = now + pause * (0.8 + 0.2 * Math.random())
    return !wasOpen
  }

  /** There is a sign of life: the next call may try. */
  retryNow(): void {
    this.#retryAt = 0
  }
}
