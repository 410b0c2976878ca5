import { abortable } from '@spillway/kit'

/**
 * FIFO queue per key. A queue is a chain of promises; a call that leaves early (abort, out of time) passes its turn on when
 * the turn comes.
 */
export class WaitQueues {
  readonly #last = new Map<string, Promise<void>>()
  /** Calls in a queue, the one being served included. */
  waiting = 0

  /** Runs `serve` when all calls of the key that came before have been served. */
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
