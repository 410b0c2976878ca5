import { ADMIT, retryAfterSeconds, type Verdict } from '@spillway/kit'
import { OverloadedError } from './errors.js'
import type { Level } from './level.js'
import type { Reason } from './signals.js'

/**
 * What a request is worth. `0`: cheap to lose, refused from `elevated` on. `1`: ordinary, refused at `critical`.
 * `2`: essential, never refused.
 */
export type Priority = 0 | 1 | 2

const STEP = 0.1
const DECAY = 0.7
const MOST = 0.95
const LEAST = 0.02

/** A Retry-After never promises less than this, nor more. */
const SHORTEST = 1_000
const LONGEST = 60_000

/**
 * Decides who is refused. By level, and, while the event loop is late, by share: too much work is cured by taking
 * less of it, so the share of ordinary requests that is refused grows step by step while the loop stays late and
 * shrinks by a factor as soon as it is not (additive increase, multiplicative decrease, as in TCP's congestion control,
 * RFC 5681). Refusals are spread evenly, without a coin.
 */
export class Shedding {
  /** The one field a request reads: nothing is refused. */
  calm = true
  /** Share of ordinary requests that is refused, 0 to 1. */
  share = 0
  refused = 0
  #level: Level = 'ok'
  #reasons: readonly Reason[] = []
  #credit = 0
  #badSince: number | undefined
  /** How long trouble usually lasts, in milliseconds; moving average. */
  #usual: number
  readonly #random: () => number

  constructor(leaveAfter: number, random: () => number) {
    this.#usual = leaveAfter
    this.#random = random
  }

  /** `late`: the event loop is over its mark right now. */
  update(level: Level, reasons: readonly Reason[], late: boolean, now: number): void {
    this.share = late ? Math.min(MOST, this.share + STEP) : this.share * DECAY
    if (this.share < LEAST) this.share = 0
    this.#level = level
    this.#reasons = reasons
    this.calm = level === 'ok' && this.share === 0
    if (!this.calm) this.#badSince ??= now
    else if (this.#badSince !== undefined) {
      this.#usual = (this.#usual + now - this.#badSince) / 2
      this.#badSince = undefined
    }
  }

  /** For a request that found us not calm. */
  decide(priority: Priority): Verdict {
    if (!this.#refuses(priority)) return ADMIT
    this.refused++
    const wait = Math.min(Math.max(this.#usual, SHORTEST), LONGEST)
    // Up to half as much again, so that the refused do not all come back at once.
    const error = new OverloadedError(retryAfterSeconds(wait * (1 + this.#random() / 2)), this.#reasons)
    return { headers: error.headers, error }
  }

  #refuses(priority: Priority): boolean {
    if (priority === 2) return false
    if (this.#level === 'critical') return true
    if (priority === 0 && this.#level === 'elevated') return true
    this.#credit += this.share
    if (this.#credit < 1) return false
    this.#credit -= 1
    return true
  }
}
