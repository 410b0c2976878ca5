import { ADMIT, retryAfterSeconds, type Verdict } from '@spillway/kit'
import { OverloadedError } from '../errors.js'
import { higher, type Level, type Marks, type Reason } from '../level.js'
import type { BacklogMeter } from '../sampling/loop-backlog.js'
import { type LoopLoad, OverloadDetector } from './overload-detector.js'
import { isAboutLoop } from './signals.js'

/**
 * What a request is worth. `0`: cheap to lose, refused from `elevated` on. `1`: ordinary, refused at `critical`.
 * `2`: essential, never refused.
 */
export type Priority = 0 | 1 | 2

const STEP = 0.1
const DECAY = 0.7
const MOST = 0.95
const LEAST = 0.02

/** Requests of priority 0 may wait for this share of the patience. */
const CHEAP = 0.5
/**
 * Each turn of the loop accepts one connection. While connections wait too long in the accept queue, requests that are
 * already in the loop may wait only for this share of the patience: turns get shorter and connections are accepted sooner.
 */
const ACCEPT_DELAYED = 0.1

/** A Retry-After never promises less than this, nor more. */
const SHORTEST = 1_000
const LONGEST = 60_000

/**
 * Milliseconds that an ordinary request may wait while the loop is overloaded: half of the delay at which `elevated` ends,
 * so that the served requests do not make the loop late again. `Infinity` when the delay is no signal.
 */
export function patienceFor(delay: Marks | false): number {
  return delay === false || delay.elevated === false ? Number.POSITIVE_INFINITY : delay.elevated[0] / 2
}

/** State of the event loop at the last sample. */
export interface LoopState extends LoopLoad {
  /** The delay has been over its mark for long enough. */
  readonly late: boolean
}

/**
 * Load shedder: decides which requests are refused, by three rules.
 *
 * - By level: priority 0 at `elevated`, priority 1 at `critical`.
 * - By wait: while the loop is overloaded, requests that have waited longer than `patience`. The requests that are served
 *   have not waited long then, and as many are served as possible.
 * - By share: while the loop is overloaded and stays late all the same, a share of ordinary requests that grows by a step
 *   at each late sample and shrinks by a factor at each other one (additive increase, multiplicative decrease, as in TCP's
 *   congestion control, RFC 5681). Those refusals are spread evenly, without chance.
 *
 * While the loop is not overloaded it has time for all requests: then no signal of the loop is a reason to refuse.
 */
export class LoadShedder {
  /** The one field a request reads: nothing is refused. */
  calm = true
  /** The waits of requests are being measured. */
  measuring = false
  /** Share of ordinary requests that is refused, 0 to 1. */
  share = 0
  refused = 0
  #level: Level = 'ok'
  #reasons: readonly Reason[] = []
  #credit = 0
  #badSince: number | undefined
  /** How long trouble usually lasts, in milliseconds; moving average. */
  #usual: number
  readonly #backlog: BacklogMeter
  readonly #overload: OverloadDetector
  readonly #patience: number
  readonly #random: () => number

  /** `patience`: milliseconds that an ordinary request may wait in a overload. */
  constructor(turns: BacklogMeter, patience: number, leaveAfter: number, random: () => number) {
    this.#backlog = turns
    this.#patience = patience
    this.#overload = new OverloadDetector(patience)
    this.#usual = leaveAfter
    this.#random = random
  }

  update(level: Level, reasons: readonly Reason[], { late, ...business }: LoopState, now: number): void {
    const overload = this.#overload
    overload.update(business, this.#backlog.longestTask, now)
    const following =
      this.#patience !== Number.POSITIVE_INFINITY && (overload.saturated || business.busy === 1)
    if (following) this.#backlog.start()
    else this.#backlog.pause()
    this.measuring = following
    this.share = late && overload.overloaded ? Math.min(MOST, this.share + STEP) : this.share * DECAY
    if (this.share < LEAST || !overload.overloaded) this.share = 0
    this.#level = reasons.reduce<Level>((highest, reason) => higher(highest, this.#counted(reason)), 'ok')
    this.#reasons = reasons
    this.calm = this.#level === 'ok' && !following
    if (level !== 'ok' || overload.overloaded) this.#badSince ??= now
    else if (this.#badSince !== undefined) {
      this.#usual = (this.#usual + now - this.#badSince) / 2
      this.#badSince = undefined
    }
  }

  /** Ends the measurements; from now on nothing is refused. */
  stop(): void {
    this.#backlog.close()
    this.#level = 'ok'
    this.#reasons = []
    this.share = 0
    this.measuring = false
    this.calm = true
  }

  /** For a request that finds `calm` false. `fresh`: the request is the first of its connection. */
  decide(priority: Priority, fresh: boolean, now: number): Verdict {
    if (priority === 2) return ADMIT
    if (this.#level === 'critical' || (priority === 0 && this.#level === 'elevated')) return this.#refuse()
    const waited = this.#backlog.waited(fresh)
    this.#overload.observe(waited, this.#backlog.longestTask, now)
    if (this.#overload.overloaded && waited >= this.#patienceWith(priority)) return this.#refuse(waited)
    this.#credit += this.share
    if (this.#credit < 1) return ADMIT
    this.#credit -= 1
    return this.#refuse()
  }

  #patienceWith(priority: Priority): number {
    const patience = this.#patience * (priority === 0 ? CHEAP : 1)
    return this.#backlog.acceptDelay() >= this.#patience ? patience * ACCEPT_DELAYED : patience
  }

  /**
   * Signals of the loop count as `elevated` at most, and only while it is overloaded: other requests are judged by their
   * wait, since a loop that refuses all of them would be idle. Where the delay is no signal, overload is not detected.
   */
  #counted(reason: Reason): Level {
    if (!isAboutLoop(reason) || this.#patience === Number.POSITIVE_INFINITY) return reason.level
    return this.#overload.overloaded ? 'elevated' : 'ok'
  }

  #refuse(waited?: number): Verdict {
    this.refused++
    const wait = Math.min(Math.max(this.#usual, SHORTEST), LONGEST)
    const reasons = waited === undefined ? this.#reasons : [...this.#reasons, this.#queue(waited)]
    // Up to half as much again, so that the refused do not all come back at once.
    const error = new OverloadedError(retryAfterSeconds(wait * (1 + this.#random() / 2)), reasons)
    return { headers: error.headers, error }
  }

  #queue(value: number): Reason {
    const limit = this.#patience
    return { signal: 'delay', level: 'elevated', value, limit, unit: 'ms', source: 'queue of the event loop' }
  }
}
