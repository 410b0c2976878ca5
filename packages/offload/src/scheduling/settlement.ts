import type { DeadlineHeap } from '@spillway/kit'
import type { Job } from '../jobs/job.js'
import type { Outcome } from '../jobs/outcome.js'
import type { RunStats } from './run-stats.js'

/** Settles the promise of each accepted job once, and tells when all are settled. */
export class Settlement {
  readonly #deadlines: DeadlineHeap
  readonly #runs: RunStats
  #unsettled = 0
  #onDrained: (() => void) | undefined

  constructor(deadlines: DeadlineHeap, runs: RunStats) {
    this.#deadlines = deadlines
    this.#runs = runs
  }

  /** The promise of an accepted job. */
  promise(job: Job): Promise<unknown> {
    this.#unsettled++
    return new Promise<unknown>((resolve, reject) => {
      job.resolve = resolve
      job.reject = reject
    })
  }

  /** Settles a job that has not settled yet. */
  settle(job: Job, outcome: Outcome, value: unknown): void {
    job.settled = true
    this.#deadlines.remove(job)
    job.release()
    this.#runs.settled(job, outcome)
    if (outcome === 'completed') job.resolve(value)
    else job.reject(value)
    if (--this.#unsettled === 0) this.#onDrained?.()
  }

  /** Resolves when every job has settled. */
  drained(): Promise<void> {
    if (this.#unsettled === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onDrained = resolve
    })
  }
}
