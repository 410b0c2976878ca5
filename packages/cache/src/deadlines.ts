interface Pending {
  readonly at: number
  readonly expire: () => void
  done: boolean
}

/** Many deadlines of one length on a single timer: a queue in order of time, since each is later than the last. */
export class Deadlines {
  readonly #milliseconds: number
  #queue: Pending[] = []
  #head = 0
  #timer: NodeJS.Timeout | undefined

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  /** Settles like the promise, or rejects with `late()` when that takes too long. A late rejection is swallowed. */
  within<T>(promise: Promise<T>, late: () => Error): Promise<T> {
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        at: performance.now() + this.#milliseconds,
        expire: () => reject(late()),
        done: false,
      }
      promise.then(
        (value) => {
          pending.done = true
          resolve(value)
        },
        (error) => {
          pending.done = true
          reject(error)
        },
      )
      this.#queue.push(pending)
      this.#arm()
    })
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #arm(): void {
    if (this.#timer !== undefined) return
    this.#skipDone()
    const next = this.#queue[this.#head]
    if (next === undefined) return
    // Ref'ed: somebody awaits the answer, and a hung server must not let the process end in silence.
    this.#timer = setTimeout(() => this.#fire(), Math.max(1, next.at - performance.now()))
  }

  #fire(): void {
    this.#timer = undefined
    const now = performance.now()
    for (let next = this.#queue[this.#head]; next !== undefined; next = this.#queue[this.#head]) {
      if (!next.done) {
        if (next.at > now) break
        next.expire()
      }
      this.#head++
    }
    this.#arm()
  }

  #skipDone(): void {
    while (this.#queue[this.#head]?.done) this.#head++
    if (this.#head > 1024 || this.#head === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
  }
}
