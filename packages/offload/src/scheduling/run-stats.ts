import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { Clock } from '@spillway/kit'
import type { Job } from '../jobs/job.js'
import { OUTCOMES, type Outcome, runChannel } from '../jobs/outcome.js'
import type { TaskDefinition } from '../jobs/task-definition.js'

/** Weight of the newest run in the running mean over all tasks. */
const WEIGHT = 0.1

/** Statistics of all calls: how they ended, how long they waited and ran. */
export class RunStats {
  readonly #clock: Clock
  readonly wait: RecordableHistogram = createHistogram()
  readonly run: RecordableHistogram = createHistogram()
  readonly counts: Record<Outcome, number> = { ...OUTCOMES }
  /** Running mean of the run time in milliseconds; 0 before the first run. */
  meanRun = 0
  /** Milliseconds that threads have spent in tasks. */
  busyMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A call was refused. */
  refused(task: TaskDefinition): void {
    this.counts.refused++
    task.runs.failed++
  }

  /** A job starts on its thread. */
  started(job: Job, now: number): void {
    this.wait.record(microseconds(now - job.enqueuedAt))
    job.startedAt = now
    job.task.enter()
  }

  /** A job has left its thread after it ran. */
  left(job: Job): void {
    const took = this.#clock.now() - job.startedAt
    this.busyMs += took
    this.run.record(microseconds(took))
    this.meanRun = this.meanRun === 0 ? took : this.meanRun + WEIGHT * (took - this.meanRun)
    job.task.runs.record(took)
    job.task.leave()
  }

  /** A job was taken off its thread before it ran. */
  returned(job: Job): void {
    job.task.leave()
  }

  settled(job: Job, outcome: Outcome): void {
    const { task } = job
    this.counts[outcome]++
    if (outcome === 'completed') task.runs.completed++
    else task.runs.failed++
    runChannel.publish(() => {
      const now = this.#clock.now()
      const started = job.running ? job.startedAt : now
      return { task: task.label, outcome, wait: started - job.enqueuedAt, run: now - started }
    }, job.caller)
  }
}

/** Histograms take whole numbers from 1. */
function microseconds(milliseconds: number): number {
  return Math.max(1, Math.round(milliseconds * 1_000))
}
