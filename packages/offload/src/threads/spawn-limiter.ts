import { Backoff, type Clock } from '@spillway/kit'

/**
 * Rate limiter of thread starts, with two rules: after a failed start, an exponential back-off from 0.1 s to 30 s; and a token
 * bucket over all starts, so that tasks that kill their threads do not use up the CPU with starting new ones.
 */
export class SpawnLimiter {
  readonly #clock: Clock
  readonly #burst: number
  readonly #perMs: number
  #tokens: number
  #countedAt: number
  readonly #backoff = new Backoff({ first: 100, max: 30_000, jitter: 0 })
  #closedUntil = Number.NEGATIVE_INFINITY
  /** The error of the last failed start; `undefined` after a successful one. */
  failure: unknown

  constructor(clock: Clock, limit: { readonly burst: number; readonly perMinute: number } | false) {
    this.#clock = clock
    this.#burst = limit === false ? Number.POSITIVE_INFINITY : limit.burst
    this.#perMs = limit === false ? Number.POSITIVE_INFINITY : limit.perMinute / 60_000
    this.#tokens = this.#burst
    this.#countedAt = clock.now()
  }

  /** Milliseconds until a thread may start; 0 when it may now. */
  delay(): number {
    const now = this.#clock.now()
    return Math.max(0, this.#closedUntil - now, this.#refill(now) >= 1 ? 0 : (1 - this.#tokens) / this.#perMs)
  }

  /** Whether starts are held back because the last one failed. */
  get broken(): boolean {
    return this.#closedUntil > this.#clock.now()
  }

  started(): void {
    this.#refill(this.#clock.now())
    this.#tokens -= 1
  }

  failed(error: unknown): void {
    this.#closedUntil = this.#clock.now() + this.#backoff.fail()
    this.failure = error
  }

  succeeded(): void {
    this.#backoff.reset()
    this.#closedUntil = Number.NEGATIVE_INFINITY
    this.failure = undefined
  }

  #refill(now: number): number {
    if (this.#burst === Number.POSITIVE_INFINITY) return this.#burst
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#countedAt) * this.#perMs)
    this.#countedAt = now
    return this.#tokens
  }
}
