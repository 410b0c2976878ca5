import { ADMIT, retryAfterSeconds, type Verdict } from '@spillway/kit'
import { OverloadedError } from './errors.js'
import type { Level, Marks } from './level.js'
import type { Reason } from './signals.js'
import type { TurnWatch } from './turns.js'

/**
 * What a request is worth. `0`: cheap to lose, refused from `elevated` on. `1`: ordinary, refused at `critical`.
 * `2`: essential, never refused.
 */
export type Priority = 0 | 1 | 2

const STEP = 0.1
const DECAY = 0.7
const MOST = 0.95
const LEAST = 0.02

/** After a sign of a queue, turns of the event loop are looked at for so many milliseconds. */
const WARY_FOR = 5_000
/** A loop that is busy for less of the time has no queue. */
const BUSY = 0.95
/** What is cheap to lose may wait for this share of what the others may. */
const CHEAP = 0.5

/** A Retry-After never promises less than this, nor more. */
const SHORTEST = 1_000
const LONGEST = 60_000

/**
 * Milliseconds that an ordinary request may wait in a crowd: half of what the event loop must come down to in order to be
 * on time, so that serving the others keeps it so. For ever, when its delay is no signal.
 */
export function patienceFor(delay: Marks | false): number {
  return delay === false || delay.elevated === false ? Number.POSITIVE_INFINITY : delay.elevated[0] / 2
}

/** What the event loop was like at the last sample. */
export interface Lateness {
  /** It is over its mark, and was for long enough. */
  readonly late: boolean
  /** The longest turn, in milliseconds. */
  readonly longest: number
  /** Share of the time in which it was busy. */
  readonly busy: number
}

/**
 * Decides who is refused.
 *
 * By level. By the queue: requests that have waited for longer than `patience` are refused, so that those which are served
 * have not waited long, and as many are served as can be. And when the loop stays late all the same, by share: the share of ordinary requests that is refused grows step by step while the
 * loop stays late and shrinks by a factor as soon as it is not (additive increase, multiplicative decrease, as in TCP's
 * congestion control, RFC 5681). Those refusals are spread evenly, without a coin.
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
  #waryUntil = Number.NEGATIVE_INFINITY
  readonly #turns: TurnWatch
  readonly #patience: number
  readonly #random: () => number

  /** `patience`: milliseconds that an ordinary request may wait in a crowd. */
  constructor(turns: TurnWatch, patience: number, leaveAfter: number, random: () => number) {
    this.#turns = turns
    this.#patience = patience
    this.#usual = leaveAfter
    this.#random = random
  }

  update(level: Level, reasons: readonly Reason[], { late, longest, busy }: Lateness, now: number): void {
    this.share = late ? Math.min(MOST, this.share + STEP) : this.share * DECAY
    if (this.share < LEAST) this.share = 0
    this.#level = level
    this.#reasons = reasons
    const patient = this.#patience === Number.POSITIVE_INFINITY
    if (!patient && (longest >= this.#patience || busy >= BUSY)) this.#waryUntil = now + WARY_FOR
    const wary = now < this.#waryUntil
    if (wary) this.#turns.follow(longest >= this.#patience)
    else this.#turns.rest()
    const trouble = level !== 'ok' || this.share > 0
    this.calm = !trouble && !wary
    if (trouble) this.#badSince ??= now
    else if (this.#badSince !== undefined) {
      this.#usual = (this.#usual + now - this.#badSince) / 2
      this.#badSince = undefined
    }
  }

  /** Nothing is refused any more. */
  stop(): void {
    this.#turns.rest()
    this.#level = 'ok'
    this.#reasons = []
    this.share = 0
    this.calm = true
  }

  /** For a request that found us not calm. `fresh`: it is the first of its connection. */
  decide(priority: Priority, fresh: boolean): Verdict {
    if (priority === 2) return ADMIT
    if (this.#level === 'critical' || (priority === 0 && this.#level === 'elevated')) return this.#refuse()
    const backlog = this.#turns.backlog(fresh)
    if (backlog >= this.#patience * (priority === 0 ? CHEAP : 1)) return this.#refuse(backlog)
    this.#credit += this.share
    if (this.#credit < 1) return ADMIT
    this.#credit -= 1
    return this.#refuse()
  }

  #refuse(backlog?: number): Verdict {
    this.refused++
    const wait = Math.min(Math.max(this.#usual, SHORTEST), LONGEST)
    const reasons = backlog === undefined ? this.#reasons : [...this.#reasons, this.#queue(backlog)]
    // Up to half as much again, so that the refused do not all come back at once.
    const error = new OverloadedError(retryAfterSeconds(wait * (1 + this.#random() / 2)), reasons)
    return { headers: error.headers, error }
  }

  #queue(value: number): Reason {
    const limit = this.#patience
    return { signal: 'delay', level: 'elevated', value, limit, unit: 'ms', source: 'queue of the event loop' }
  }
}
