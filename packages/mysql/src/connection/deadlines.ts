import { type Clock, type Deadline, DeadlineHeap } from '@spillway/kit'

/**
 * Deadlines of one pool on one timer, which runs only while there are some, and does not keep the process alive: the
 * sockets that are waited for do. A deadline fires at most a millisecond late, and a turn of the event loop.
 */
export class Deadlines {
  readonly #heap: DeadlineHeap

  constructor(clock: Clock) {
    this.#heap = new DeadlineHeap(clock)
  }

  get size(): number {
    return this.#heap.size
  }

  /** Sets a deadline, or sets it anew. @param at absolute, in the clock's milliseconds; `Infinity` for never */
  set(deadline: Deadline, at: number): void {
    this.#heap.remove(deadline)
    deadline.dueAt = at
    if (at !== Number.POSITIVE_INFINITY) this.#heap.add(deadline)
  }

  remove(deadline: Deadline): void {
    this.#heap.remove(deadline)
  }

  /** Calls back at `at`, unless the deadline is removed before. */
  after(at: number, action: () => void): Deadline {
    const deadline: Deadline = { dueAt: at, heapIndex: -1, onDue: action }
    this.set(deadline, at)
    return deadline
  }

  /** Fires what is due. The timer calls it; tests with a clock of their own do so themselves. */
  fire(): void {
    this.#heap.fire()
  }

  clear(): void {
    this.#heap.clear()
  }
}
