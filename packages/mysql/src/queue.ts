import type { Waiter } from './waiter.js'

/** Those who wait, first come first served. Linked through the waiters, so that coming and leaving cost the same at any length. */
export class Queue {
  #first: Waiter | undefined
  #last: Waiter | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): Waiter | undefined {
    return this.#first
  }

  add(waiter: Waiter): void {
    waiter.queued = true
    waiter.ahead = this.#last
    if (this.#last === undefined) this.#first = waiter
    else this.#last.behind = waiter
    this.#last = waiter
    this.#size++
  }

  /** Nothing happens when it does not wait. */
  remove(waiter: Waiter): void {
    if (!waiter.queued) return
    const { ahead, behind } = waiter
    if (ahead === undefined) this.#first = behind
    else ahead.behind = behind
    if (behind === undefined) this.#last = ahead
    else behind.ahead = ahead
    waiter.queued = false
    waiter.ahead = undefined
    waiter.behind = undefined
    this.#size--
  }

  /** All of them, as they are now. */
  list(): Waiter[] {
    const all: Waiter[] = []
    for (let one = this.#first; one !== undefined; one = one.behind) all.push(one)
    return all
  }
}
