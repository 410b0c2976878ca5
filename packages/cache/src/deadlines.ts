/** Something under way; a link of the chain of all that are, the oldest first. */
interface Pending {
  readonly at: number
  readonly expire: () => void
  before: Pending | undefined
  after: Pending | undefined
  over: boolean
}

/**
 * Many deadlines of one length on a single timer. Each is later than the one before it, so a chain in order of their
 * beginning is in order of time. What has settled leaves the chain at once: a queue that let it wait for its turn would
 * keep everything answered in the last `milliseconds` from the garbage collector.
 */
export class Deadlines {
  readonly #milliseconds: number
  #first: Pending | undefined
  #last: Pending | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  /**
   * Settles like the promise, or rejects with `late()` when that takes too long. A late rejection is swallowed.
   *
   * @param ended called just before it settles, in whatever way
   */
  within<T>(promise: Promise<T>, late: () => Error, ended: (failed: boolean) => void = () => {}): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        if (!this.#leave(pending)) return
        ended(true)
        reject(error)
      }
      const pending = this.#enter(() => fail(late()))
      promise.then((value) => {
        if (!this.#leave(pending)) return
        ended(false)
        resolve(value)
      }, fail)
    })
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #enter(expire: () => void): Pending {
    const pending: Pending = {
      at: performance.now() + this.#milliseconds,
      expire,
      before: this.#last,
      after: undefined,
      over: false,
    }
    if (this.#last === undefined) this.#first = pending
    else this.#last.after = pending
    this.#last = pending
    this.#timer ??= this.#wake(pending)
    return pending
  }

  /** False when it has left already. */
  #leave(pending: Pending): boolean {
    if (pending.over) return false
    pending.over = true
    const { before, after } = pending
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    return true
  }

  /** Ref'ed: somebody awaits the answer, and a hung server must not let the process end in silence. */
  #wake({ at }: Pending): NodeJS.Timeout {
    return setTimeout(() => this.#fire(), Math.max(1, at - performance.now()))
  }

  #fire(): void {
    const now = performance.now()
    while (this.#first !== undefined && this.#first.at <= now) this.#first.expire()
    this.#timer = this.#first && this.#wake(this.#first)
  }
}
