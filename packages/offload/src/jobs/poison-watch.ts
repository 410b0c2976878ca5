import type { Clock } from '@spillway/kit'

export interface PoisonSettings {
  readonly deaths: number
  readonly within: number
  readonly cooldown: number
}

/**
 * Circuit breaker for a task that kills threads: after repeated deaths its calls are refused for a while. Then one call is let
 * through; when it ends without a crash, the task is accepted again. A task that mostly works is not refused for a few
 * crashes: otherwise one client could block it for all others with an input that crashes it.
 */
export class PoisonWatch {
  readonly #clock: Clock
  readonly #settings: PoisonSettings
  #windowStart: number
  #runs = 0
  #deaths = 0
  #refusedUntil = Number.NEGATIVE_INFINITY
  #suspect = false
  /** One call has been let through; no other is until this time. */
  #trialUntil = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, settings: PoisonSettings) {
    this.#clock = clock
    this.#settings = settings
    this.#windowStart = clock.now()
  }

  /** Milliseconds for which the task is refused; 0 lets this call through. */
  admit(): number {
    if (!this.#suspect) return 0
    const now = this.#clock.now()
    const left = Math.max(this.#refusedUntil, this.#trialUntil) - now
    if (left > 0) return left
    this.#trialUntil = now + this.#settings.cooldown
    return 0
  }

  /** Milliseconds for which even an accepted call must not start. */
  get refusedFor(): number {
    return this.#suspect ? Math.max(0, this.#refusedUntil - this.#clock.now()) : 0
  }

  /** The task ended without taking its thread along. */
  survived(): void {
    this.#roll()
    this.#runs++
    this.#suspect = false
  }

  /** The call ended before it ran, so it proves nothing. */
  withdrawn(): void {
    this.#trialUntil = Number.NEGATIVE_INFINITY
  }

  /** The task killed its thread. Tells whether it is refused from now on. */
  died(): boolean {
    this.#roll()
    this.#runs++
    this.#deaths++
    const repeated = this.#deaths >= this.#settings.deaths && this.#deaths * 2 >= this.#runs
    if (this.#suspect || repeated) {
      this.#suspect = true
      this.#refusedUntil = this.#clock.now() + this.#settings.cooldown
    }
    return this.#suspect
  }

  #roll(): void {
    const now = this.#clock.now()
    if (now - this.#windowStart < this.#settings.within) return
    this.#windowStart = now
    this.#runs = 0
    this.#deaths = 0
  }
}
