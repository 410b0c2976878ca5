import { MAX_TIMER } from './abort.js'
import type { Clock } from './clock.js'

/** A callback at a point in time, unless it is removed before. */
export interface Deadline {
  /** Milliseconds of the heap's clock. */
  dueAt: number
  /** Index in the heap; -1: not in it. Only {@link DeadlineHeap} writes it. */
  heapIndex: number
  /** Called once, when the time has come. */
  onDue(): void
}

/**
 * Priority queue of deadlines of any length: a binary heap under one timer, which does not keep the process alive. Adding and
 * removing cost O(log n); only a deadline earlier than all others re-arms the timer, never a removal.
 */
export class DeadlineHeap {
  readonly #clock: Clock
  readonly #heap: Deadline[] = []
  #timer: NodeJS.Timeout | undefined
  #armedFor = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#heap.length
  }

  add(deadline: Deadline): void {
    if (deadline.heapIndex !== -1) this.remove(deadline)
    this.#heap.push(deadline)
    this.#rise(deadline, this.#heap.length - 1)
    if (this.#heap[0]!.dueAt < this.#armedFor) this.#arm()
  }

  remove(deadline: Deadline): void {
    const index = deadline.heapIndex
    if (index === -1) return
    deadline.heapIndex = -1
    const last = this.#heap.pop()!
    if (last === deadline) return
    this.#rise(last, index)
    this.#sink(last, last.heapIndex)
  }

  /** Calls back all that are due. The timer calls it; tests with a fake clock call it themselves. */
  fire(): void {
    const now = this.#clock.now()
    while (this.#heap.length > 0 && this.#heap[0]!.dueAt <= now) {
      const deadline = this.#heap[0]!
      this.remove(deadline)
      deadline.onDue()
    }
    this.#arm()
  }

  clear(): void {
    for (const deadline of this.#heap) deadline.heapIndex = -1
    this.#heap.length = 0
    this.#arm()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const first = this.#heap[0]
    this.#armedFor = first === undefined ? Number.POSITIVE_INFINITY : first.dueAt
    if (first === undefined) {
      this.#timer = undefined
      return
    }
    // Timers have whole milliseconds; rounded up, so that it is due when the timer fires.
    const delay = Math.min(Math.max(1, Math.ceil(first.dueAt - this.#clock.now())), MAX_TIMER)
    this.#timer = setTimeout(() => this.fire(), delay)
    this.#timer.unref()
  }

  #rise(deadline: Deadline, from: number): void {
    let index = from
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = this.#heap[parentIndex]!
      if (parent.dueAt <= deadline.dueAt) break
      this.#place(parent, index)
      index = parentIndex
    }
    this.#place(deadline, index)
  }

  #sink(deadline: Deadline, from: number): void {
    let index = from
    for (;;) {
      let childIndex = 2 * index + 1
      if (childIndex >= this.#heap.length) break
      const right = this.#heap[childIndex + 1]
      if (right !== undefined && right.dueAt < this.#heap[childIndex]!.dueAt) childIndex++
      const child = this.#heap[childIndex]!
      if (child.dueAt >= deadline.dueAt) break
      this.#place(child, index)
      index = childIndex
    }
    this.#place(deadline, index)
  }

  #place(deadline: Deadline, index: number): void {
    this.#heap[index] = deadline
    deadline.heapIndex = index
  }
}
