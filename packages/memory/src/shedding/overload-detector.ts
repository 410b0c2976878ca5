/** A crowd has lasted for so many times the patience. By default for a second: what is answered within it is in time. */
const LASTING = 20
/** Requests wait in vain when one has waited for so many times the patience. By default for a quarter of a second. */
const TOO_LONG = 5
/** While less of the time is idle than this, the loop is as good as busy all the time. */
const LEAVE = 0.9

/** What the event loop was like since the last look. */
export interface LoopLoad {
  /** The longest turn, in milliseconds. */
  readonly longest: number
  /** Share of the time in which it was busy: 1 when it has not waited for work even once. */
  readonly busy: number
}

/**
 * Tells more work than can be done from a burst of it, from one long piece, and from a loop that is just busy. A loop that
 * waits for work has done all there was: its queues are empty. There is a crowd when it has not waited once for a second,
 * the longest piece of work not counted; it is over when a tenth of the time has been idle for as long: a loop that refuses what it
 * cannot serve is idle now and then. And a crowd is too large when requests
 * wait for long in it: eight clients that never pause keep the loop as busy, but each waits for seven others only. (The
 * control law of CoDel, RFC 8289, is of that kind: what counts is not how long a queue is, but that it does not go away.)
 */
export class OverloadDetector {
  /** Whether there is one. */
  saturated = false
  /** Whether it is larger than can be served. */
  overloaded = false
  readonly #patience: number
  readonly #lasting: number
  #at: number | undefined
  #standing = 0
  #longest = 0
  /** For how long, in a crowd, a part of the time has been idle. */
  #resting = 0
  /** When a request was seen last that had waited for longer than the patience. */
  #waitedAt = Number.NEGATIVE_INFINITY

  /** `patience`: milliseconds that a request may wait. `Infinity`: there is never a overload. */
  constructor(patience: number) {
    this.#patience = patience
    this.#lasting = LASTING * patience
  }

  /** `piece`: the longest piece of work since the loop is busy, in milliseconds. */
  update({ longest, busy }: LoopLoad, piece: number, now: number): void {
    const elapsed = now - (this.#at ?? now)
    this.#at = now
    if (this.saturated) this.#resting = busy < LEAVE ? this.#resting + elapsed : 0
    else if (busy < 1) {
      this.#end()
      return
    } else if (this.#standing === 0) this.#longest = longest // nobody has looked at the pieces yet
    this.#standing += elapsed
    this.#judge(piece, now)
    if (now - this.#waitedAt > this.#lasting) this.overloaded = false
    if (this.#resting >= this.#lasting) this.#end()
  }

  /** A request comes up that has waited for so many milliseconds. */
  observe(waited: number, piece: number, now: number): void {
    if (waited < this.#patience) return
    this.#judge(piece, now)
    if (!this.saturated) return
    this.#waitedAt = now
    if (waited >= TOO_LONG * this.#patience) this.overloaded = true
  }

  /** At a sample, or at a request that has waited since: the loop has not been idle meanwhile. */
  #judge(piece: number, now: number): void {
    if (this.#standing === 0 || this.#at === undefined) return
    const work = this.#standing + (now - this.#at) - Math.max(this.#longest, piece)
    if (work >= this.#lasting) this.saturated = true
  }

  #end(): void {
    this.saturated = false
    this.overloaded = false
    this.#standing = 0
    this.#longest = 0
    this.#resting = 0
  }
}
