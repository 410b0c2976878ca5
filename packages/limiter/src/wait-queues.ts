import { abortable } from '@spillway/kit'

/**
 * One line per key: whoever comes first is served first. A line is a chain of promises; leaving it early (abort,
 * out of time) passes the turn on when it comes.
 */
export class WaitQueues {
  readonly #last = new Map<string, Promise<void>>()
  waiting = 0

  /** Runs `serve` when everyone before has been served. */
  async queue<T>(key: string, signal: AbortSignal | undefined, serve: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    let pass = () => {}
    const served = new Promise<void>((resolve) => {
      pass = resolve
    })
    this.#last.set(key, served)
    this.waiting++
    try {
      if (before !== undefined) await abortable(before, signal)
      return await serve()
    } finally {
      this.waiting--
      if (before === undefined) pass()
      else before.then(pass)
      if (this.#last.get(key) === served) served.then(() => this.#forget(key, served))
    }
  }

  #forget(key: string, served: Promise<void>): void {
    if (this.#last.get(key) === served) this.#last.delete(key)
  }
}
