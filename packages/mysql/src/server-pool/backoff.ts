/** Waits longer after each failure in a row: doubled, capped, with up to half of it left out at random ("equal jitter"). */
export class Backoff {
  readonly #least: number
  readonly #most: number
  #until = Number.NEGATIVE_INFINITY
  failures = 0
  cause: unknown

  /** @param least milliseconds after the first failure; `most`: after many */
  constructor(least: number, most: number) {
    this.#least = least
    this.#most = most
  }

  fail(now: number, cause: unknown): void {
    const wait = Math.min(this.#most, this.#least * 2 ** Math.min(this.failures, 30))
    this.failures++
    this.cause = cause
    this.#until = now + wait * (0.5 + Math.random() / 2)
  }

  reset(): void {
    this.failures = 0
    this.cause = undefined
    this.#until = Number.NEGATIVE_INFINITY
  }

  pending(now: number): boolean {
    return now < this.#until
  }

  remaining(now: number): number {
    return Math.max(0, this.#until - now)
  }
}
