import { PRIORITIES, type Priority } from '../options.js'
import type { Job } from './job.js'
import type { Lane } from './lane.js'

/** How many ageing periods a priority stands behind `high`. */
const STEPS: Readonly<Record<Priority, number>> = { high: 0, normal: 1, low: 2 }

/**
 * Priority queue with ageing, of the jobs that wait for a thread. A job's rank is the time it came plus one ageing period per priority below `high`, and
 * the lowest rank goes first: a `low` job overtakes every `high` one that comes more than two periods after it, so
 * none starves. Adding, taking and removing cost O(lanes).
 */
export class JobQueue {
  readonly #ageing: number
  readonly #lanes = new Set<Lane>()
  readonly #work: Record<Priority, number> = { high: 0, normal: 0, low: 0 }
  #size = 0

  constructor(ageing: number) {
    this.#ageing = ageing
  }

  get size(): number {
    return this.#size
  }

  /** Jobs that could start if there were idle threads: those of a lane at its cap could not. */
  get startable(): number {
    let count = 0
    for (const lane of this.#lanes) count += lane.startable
    return count
  }

  /** Adds a new job, or one that comes back from a thread where it has not run. */
  push(job: Job, lane: Lane): void {
    job.rank = job.enqueuedAt + STEPS[job.priority] * this.#ageing
    this.#lanes.add(lane)
    lane.push(job)
    this.#size++
    this.#work[job.priority] += job.expectedRun
  }

  /** Removes the job with the lowest rank and returns it. */
  shift(): Job | undefined {
    const job = this.first()
    if (job !== undefined) this.remove(job)
    return job
  }

  /** The job with the lowest rank of the lanes below their cap; `undefined` when there is none. */
  first(): Job | undefined {
    let best: Job | undefined
    for (const lane of this.#lanes) {
      if (!lane.open) continue
      const first = lane.first() as Job | undefined
      if (first === undefined) this.#lanes.delete(lane)
      else if (best === undefined || first.rank < best.rank) best = first
    }
    return best
  }

  remove(job: Job): void {
    if (job.lane === undefined) return
    job.lane.remove(job)
    job.lane = undefined
    this.#size--
    // Sums of fractions drift; an empty queue is the moment to set them straight.
    if (this.#size === 0) for (const priority of PRIORITIES) this.#work[priority] = 0
    else this.#work[job.priority] = Math.max(0, this.#work[job.priority] - job.expectedRun)
  }

  /** Milliseconds of expected run time that stand before a new job of this priority. */
  workBefore(priority: Priority): number {
    let sum = 0
    for (const own of PRIORITIES) {
      sum += this.#work[own]
      if (own === priority) break
    }
    return sum
  }

  /** Removes the jobs that match and returns them by rank. Default: all jobs. */
  take(matches: (job: Job) => boolean = () => true): Job[] {
    const jobs: Job[] = []
    for (const lane of this.#lanes) {
      for (const job of lane as Lane & Iterable<Job>) {
        if (!matches(job)) continue
        this.remove(job)
        jobs.push(job)
      }
    }
    return jobs.sort((a, b) => a.rank - b.rank)
  }
}
