export interface BackoffOptions {
  /** Milliseconds after the first failure. */
  readonly first: number
  /** Milliseconds that no wait is longer than. */
  readonly max: number
  /** Share of each wait that is drawn at random, from 0 (none) to 1 ("full jitter"). Default: 0.5 ("equal jitter"). */
  readonly jitter?: number
  /** A number from 0 up to 1. Default: `Math.random`. */
  readonly random?: (() => number) | undefined
}

/** 2 ** 30 times the first wait is longer than any that is asked for; more would end at `Infinity`. */
const MOST_DOUBLINGS = 30

/**
 * Exponential back-off with jitter: the wait doubles with each failure in a row, up to a bound, and a share of it is random,
 * so that many that failed together do not come back together (Brooker, "Exponential Backoff and Jitter", AWS, 2015).
 */
export class Backoff {
  readonly #first: number
  readonly #max: number
  readonly #jitter: number
  readonly #random: () => number
  #failures = 0

  constructor({ first, max, jitter = 0.5, random = Math.random }: BackoffOptions) {
    this.#first = first
    this.#max = max
    this.#jitter = jitter
    this.#random = random
  }

  /** Failures in a row. */
  get failures(): number {
    return this.#failures
  }

  /** Counts a failure; returns the milliseconds to wait before the next attempt. */
  fail(): number {
    const wait = Math.min(this.#max, this.#first * 2 ** Math.min(this.#failures, MOST_DOUBLINGS))
    this.#failures++
    return wait * (1 - this.#jitter * this.#random())
  }

  /** After a success: the next failure is the first one again. */
  reset(): void {
    this.#failures = 0
  }
}
