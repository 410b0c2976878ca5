/** While less of the time is idle than this, the loop is as good as busy all the time. */
const LEAVE = 0.9

/** What the event loop was like since the last look. */
export interface Business {
  /** The longest turn, in milliseconds. */
  readonly longest: number
  /** Share of the time in which it was busy: 1 when it has not waited for work even once. */
  readonly busy: number
}

/**
 * Tells more work than can be done from a burst of it, and from one long piece. A loop that waits for work has done all
 * there was: its queues are empty. There is a crowd when it has not waited once for `lasting` milliseconds, the longest turn
 * not counted; it is over when a tenth of the time is idle again. (The control law of CoDel, RFC 8289, is of that kind: what
 * counts is not how long a queue is, but that it does not go away.)
 */
export class Crowd {
  present = false
  readonly #lasting: number
  #at: number | undefined
  #standing = 0
  #longest = 0

  constructor(lasting: number) {
    this.#lasting = lasting
  }

  update({ longest, busy }: Business, now: number): void {
    const elapsed = now - (this.#at ?? now)
    this.#at = now
    if (busy < (this.present ? LEAVE : 1)) {
      this.present = false
      this.#standing = 0
      this.#longest = 0
      return
    }
    this.#standing += elapsed
    this.#longest = Math.max(this.#longest, longest)
    if (this.#standing - this.#longest >= this.#lasting) this.present = true
  }
}
