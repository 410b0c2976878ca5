import { Backoff } from '@spillway/kit'

const FAILURES_TO_OPEN = 3
const PAUSES = { first: 250, max: 5_000, jitter: 0.2 }

/**
 * Circuit breaker of one node. After three failures in a row the node gets no requests, for 250 ms at first and twice as
 * long each time, up to 5 s. Then one request probes it; its result decides.
 */
export class Breaker {
  readonly #pauses = new Backoff(PAUSES)
  #failures = 0
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

  /** Returns whether this closed the breaker. */
  succeeded(): boolean {
    this.#failures = 0
    if (!this.#open) return false
    this.#pauses.reset()
    this.#probing = false
    this.#open = false
    return true
  }

  /** Returns whether this opened the breaker. */
  failed(now: number): boolean {
    const wasOpen = this.#open
    if (++this.#failures < FAILURES_TO_OPEN) return false
    // Requests that were under way when the breaker opened fail too; their failures say nothing new.
    if (wasOpen && !this.#probing) return false
    this.#probing = false
    this.#open = true
    this.#retryAt = now + this.#pauses.fail()
    return !wasOpen
  }

  /** The node has shown a sign of life: the next request may try it. */
  retryNow(): void {
    this.#retryAt = 0
  }
}
