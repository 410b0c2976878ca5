import type { DeadlineHeap } from '@spillway/kit'
import type { Job } from '../jobs/job.js'
import type { Outcome } from '../jobs/outcome.js'
import type { RunStats } from './run-stats.js'

/** Gives each job its one answer, and knows when none is owed any more. */
export class Settlement {
  readonly #deadlines: DeadlineHeap
  readonly #runs: RunStats
  #owed = 0
  #onDrained: (() => void) | undefined

  constructor(deadlines: DeadlineHeap, runs: RunStats) {
    this.#deadlines = deadlines
    this.#runs = runs
  }

  /** The promise of a job that has been taken. */
  promise(job: Job): Promise<unknown> {
    this.#owed++
    return new Promise<unknown>((resolve, reject) => {
      job.resolve = resolve
      job.reject = reject
    })
  }

  /** For a job that has not settled. */
  settle(job: Job, outcome: Outcome, value: unknown): void {
    job.settled = true
    this.#deadlines.remove(job)
    job.release()
    this.#runs.settled(job, outcome)
    if (outcome === 'completed') job.resolve(value)
    else job.reject(value)
    if (--this.#owed === 0) this.#onDrained?.()
  }

  /** Resolves when every job has settled. */
  drained(): Promise<void> {
    if (this.#owed === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onDrained = resolve
    })
  }
}
