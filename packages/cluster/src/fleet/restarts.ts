import type { Clock } from '@spillway/kit'

/** The restart policy, with its defaults filled in. */
export interface RestartOptions {
  /** Crashes within the window that are taken for bad luck; one more, and the supervisor is degraded. */
  readonly max: number
  /** Milliseconds. */
  readonly within: number
  /** The second crash in a row waits so long, then twice as long each time. Milliseconds. */
  readonly backoff: number
  /** The longest wait, and the wait of a degraded supervisor. Milliseconds. */
  readonly maxBackoff: number
  /** A worker that lived so long has proved itself: its crash starts a new row. Milliseconds. */
  readonly stableAfter: number
}

/** Without any back-off by option, a fork that fails is not tried again in a busy loop. Milliseconds. */
const LEAST_RETRY = 20

/** When and how a crashed worker comes back. */
export interface Restart {
  /** Milliseconds until the place may be filled again. */
  readonly delay: number
  /** Crashes in a row of this place, to be handed to the next worker in it. */
  readonly streak: number
  /** Whether this crash was the one too many. */
  readonly degraded: boolean
}

/**
 * How fast crashed workers come back: restart intensity over a window as in Erlang/OTP supervisors, and per place an
 * exponential back-off with full jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015) on its upper half. The
 * first crash of a stable worker is answered at once, so that one bad request costs no capacity. It never gives up for good.
 */
export class Restarts {
  degraded = false
  readonly #options: RestartOptions
  readonly #clock: Clock
  readonly #random: () => number
  #crashes: number[] = []

  constructor(options: RestartOptions, clock: Clock, random: () => number = Math.random) {
    this.#options = options
    this.#clock = clock
    this.#random = random
  }

  /** A worker that lived `lived` milliseconds has crashed; `streak` crashes in a row came before it. */
  crashed(lived: number, streak: number): Restart {
    const { max, within, backoff, maxBackoff, stableAfter } = this.#options
    const now = this.#clock.now()
    this.#crashes = this.#crashes.filter((at) => at > now - within)
    this.#crashes.push(now)
    const tooMany = this.#crashes.length > max
    const degraded = tooMany && !this.degraded
    this.degraded = tooMany
    const inRow = lived >= stableAfter ? 0 : streak
    const wait = tooMany ? maxBackoff : Math.min(maxBackoff, inRow === 0 ? 0 : backoff * 2 ** (inRow - 1))
    return { delay: wait / 2 + (this.#random() * wait) / 2, streak: inRow + 1, degraded }
  }

  /**
   * How long to wait when a worker could not even be forked, `times` times in a row before. The app is not to blame, so this
   * counts as no crash; but the machine is short of something, so the first one waits, too. Milliseconds.
   */
  retryIn(times: number): number {
    const { backoff, maxBackoff } = this.#options
    const wait = Math.max(LEAST_RETRY, Math.min(maxBackoff, backoff * 2 ** times))
    return wait / 2 + (this.#random() * wait) / 2
  }

  /** Tells whether the window has become quiet since {@link degraded} was set, and clears it. */
  recovered(): boolean {
    const { within } = this.#options
    const last = this.#crashes.at(-1) ?? Number.NEGATIVE_INFINITY
    if (!this.degraded || this.#clock.now() - last < within) return false
    this.degraded = false
    return true
  }

  /** A reload brings new code: old crashes say nothing about it. */
  reset(): void {
    this.#crashes = []
    this.degraded = false
  }
}

/** Crashes within the window that are taken for bad luck: twice the workers by default, and at least ten. */
export function crashesAllowed(max: number | 'auto', workers: number): number {
  return max === 'auto' ? Math.max(10, 2 * workers) : max
}
