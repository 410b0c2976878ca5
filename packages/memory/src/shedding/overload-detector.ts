/** The loop is saturated after so many times the patience without idle time: one second by default. */
const LASTING = 20
/** A saturated loop is overloaded when a request has waited so many times the patience: 250 ms by default. */
const TOO_LONG = 5
/** A saturated loop recovers when its busy share falls below this. */
const LEAVE = 0.9

/** Load of the event loop since the last sample. */
export interface LoopLoad {
  /** The longest turn, in milliseconds. */
  readonly longest: number
  /** Busy share of the time: 1 when the loop has not waited for work even once. */
  readonly busy: number
}

/**
 * Tells overload from a burst, from one long task and from a loop that is merely busy. A loop that waits for work has
 * emptied its queues, so it is not overloaded. The loop is *saturated* when it has not been idle for a second, its longest
 * task not counted, and until a tenth of the time has been idle for a second: a loop that refuses what it cannot serve is
 * idle now and then. A saturated loop is *overloaded* when requests also wait for long: eight clients that never pause
 * saturate the loop, but each request waits only for the seven others. The rule follows CoDel (RFC 8289): not the length
 * of a queue counts, but that the queue does not go away.
 */
export class OverloadDetector {
  /** The loop has not been idle for a second. */
  saturated = false
  /** The loop is saturated, and requests wait for long. */
  overloaded = false
  readonly #patience: number
  readonly #lasting: number
  #at: number | undefined
  #standing = 0
  #longest = 0
  /** Since when a part of the time has been idle, while saturated; in milliseconds. */
  #resting = 0
  /** When the last request was handled that had waited longer than the patience. */
  #waitedAt = Number.NEGATIVE_INFINITY

  /** `patience`: milliseconds that a request may wait. `Infinity`: there is never a overload. */
  constructor(patience: number) {
    this.#patience = patience
    this.#lasting = LASTING * patience
  }

  /** At each sample. `piece`: the longest task since the loop is busy, in milliseconds. */
  update({ longest, busy }: LoopLoad, piece: number, now: number): void {
    const elapsed = now - (this.#at ?? now)
    this.#at = now
    if (this.saturated) this.#resting = busy < LEAVE ? this.#resting + elapsed : 0
    else if (busy < 1) {
      this.#end()
      return
    } else if (this.#standing === 0) this.#longest = longest // tasks are not measured yet
    this.#standing += elapsed
    this.#judge(piece, now)
    if (now - this.#waitedAt > this.#lasting) this.overloaded = false
    if (this.#resting >= this.#lasting) this.#end()
  }

  /** At each request that was measured. `waited`: its wait in milliseconds. */
  observe(waited: number, piece: number, now: number): void {
    if (waited < this.#patience) return
    this.#judge(piece, now)
    if (!this.saturated) return
    this.#waitedAt = now
    if (waited >= TOO_LONG * this.#patience) this.overloaded = true
  }

  /** A request that has waited since the last sample proves that the loop has not been idle since. */
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
