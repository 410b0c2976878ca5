import { PRIORITIES, type Priority } from '../options.js'

/** What a lane needs of its items. They are linked to each other, so that any of them is taken out in O(1). */
export interface Queued {
  readonly priority: Priority
  /** Order within the queue: smaller goes first. */
  rank: number
  lane: Lane | undefined
  previous: Queued | undefined
  next: Queued | undefined
}

/** Linked list of jobs, sorted by rank. A new job, whose rank is the highest, is added in O(1); any job is removed in O(1). */
class JobList {
  head: Queued | undefined
  #tail: Queued | undefined

  push(job: Queued): void {
    let previous = this.#tail
    // Only a job that comes back from a thread has a lower rank than others.
    while (previous !== undefined && previous.rank > job.rank) previous = previous.previous
    const next = previous === undefined ? this.head : previous.next
    job.previous = previous
    job.next = next
    if (previous === undefined) this.head = job
    else previous.next = job
    if (next === undefined) this.#tail = job
    else next.previous = job
  }

  remove(job: Queued): void {
    if (job.previous === undefined) this.head = job.next
    else job.previous.next = job.next
    if (job.next === undefined) this.#tail = job.previous
    else job.next.previous = job.previous
    job.previous = undefined
    job.next = undefined
  }
}

/**
 * Queue of the waiting jobs that share one concurrency cap: those of one capped task, or of all tasks without a cap. A lane at
 * its cap is skipped as a whole, so that its jobs cost nothing while they wait.
 */
export class Lane {
  readonly cap: number
  /** Jobs of this lane on threads. */
  running = 0
  /** Jobs of this lane that wait. */
  size = 0
  readonly #lists: Readonly<Record<Priority, JobList>> = {
    high: new JobList(),
    normal: new JobList(),
    low: new JobList(),
  }

  constructor(cap: number = Number.POSITIVE_INFINITY) {
    this.cap = cap
  }

  get unlimited(): boolean {
    return this.cap === Number.POSITIVE_INFINITY
  }

  get open(): boolean {
    return this.running < this.cap
  }

  /** How many of the waiting jobs could start if there were idle threads. */
  get startable(): number {
    return Math.min(this.size, this.cap - this.running)
  }

  push(job: Queued): void {
    job.lane = this
    this.size++
    this.#lists[job.priority].push(job)
  }

  remove(job: Queued): void {
    this.size--
    this.#lists[job.priority].remove(job)
  }

  /** The waiting jobs, higher priorities first. The one that was yielded may be removed. */
  *[Symbol.iterator](): IterableIterator<Queued> {
    for (const priority of PRIORITIES) {
      let job = this.#lists[priority].head
      while (job !== undefined) {
        const { next } = job
        yield job
        job = next
      }
    }
  }

  /** The job with the lowest rank: one of the three heads. */
  first(): Queued | undefined {
    let best: Queued | undefined
    for (const priority of PRIORITIES) {
      const head = this.#lists[priority].head
      if (head !== undefined && (best === undefined || head.rank < best.rank)) best = head
    }
    return best
  }
}
