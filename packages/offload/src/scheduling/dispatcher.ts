import type { Clock, DeadlineHeap } from '@spillway/kit'
import type { Job } from '../jobs/job.js'
import type { JobQueue } from '../jobs/job-queue.js'
import type { Thread } from '../threads/thread.js'
import type { ThreadPool } from '../threads/thread-pool.js'
import type { Admission } from './admission.js'
import type { RunStats } from './run-stats.js'
import type { Settlement } from './settlement.js'
import { inputError } from './task-errors.js'

/** How long a job may run while others wait behind it on its thread, in milliseconds. */
const PATIENCE_MS = 5

/** What a dispatcher works with. */
export interface DispatcherParts {
  readonly admission: Admission
  readonly queue: JobQueue
  readonly pool: ThreadPool
  readonly deadlines: DeadlineHeap
  readonly runs: RunStats
  readonly settlement: Settlement
  readonly clock: Clock
}

/**
 * Brings jobs to threads. A job is in the queue or on a thread; there, the first job runs. Short ones are posted behind it,
 * so that the thread need not wait for the main thread between them. Those still wait, and are taken back when they are
 * cancelled, when the first turns out to be long, when another thread has nothing to do, and when their thread is lost.
 */
export class Dispatcher {
  readonly #admission: Admission
  readonly #queue: JobQueue
  readonly #pool: ThreadPool
  readonly #deadlines: DeadlineHeap
  readonly #runs: RunStats
  readonly #settlement: Settlement
  readonly #clock: Clock

  constructor(parts: DispatcherParts) {
    this.#admission = parts.admission
    this.#queue = parts.queue
    this.#pool = parts.pool
    this.#deadlines = parts.deadlines
    this.#runs = parts.runs
    this.#settlement = parts.settlement
    this.#clock = parts.clock
  }

  /** Starts a job that has been admitted, or has it wait. */
  dispatch(job: Job): void {
    if (job.task.lane.open && this.#pool.idle > 0) this.#start(job, job.enqueuedAt)
    else {
      this.enqueue(job)
      this.#postAhead()
    }
  }

  /** Has a job wait, from the time on when it came. */
  enqueue(job: Job): void {
    job.expectedRun = job.task.runs.meanRun ?? this.#runs.meanRun
    job.running = false
    this.#expire(job, Math.min(job.enqueuedAt + job.maxWait, job.deadline))
    this.#queue.push(job, job.task.lane)
  }

  /** Has a job wait once more that ran on a thread which was lost. */
  requeue(job: Job): void {
    job.retries++
    job.host = undefined
    this.enqueue(job)
  }

  /** Starts what can be started. */
  advance(): void {
    while (this.#pool.idle > 0) {
      const job = this.#queue.shift() ?? this.#steal()
      if (job === undefined) break
      const now = this.#clock.now()
      if (this.#mayStart(job, now)) this.#start(job, now)
    }
    this.#postAhead()
  }

  /** The first job of a thread is done. */
  finish(job: Job, thread: Thread): void {
    this.#runs.left(job)
    thread.finish(job)
    this.#startNext(thread)
  }

  /** Takes a job out that has not started, from the queue or its thread; false when it has. */
  withdraw(job: Job): boolean {
    const thread = this.#pool.threadOf(job)
    if (thread === undefined) this.#queue.remove(job)
    else if (!thread.recall(job)) return false
    else if (job.running) {
      this.#runs.returned(job)
      this.#startNext(thread)
      this.advance()
    }
    job.task.poison?.withdrawn()
    return true
  }

  /** Stops a job that has started and is settled; its thread may end with it. */
  stop(job: Job): void {
    const thread = this.#pool.threadOf(job)
    // One that is not yet the first has only just started: when the answer before it has come, this comes again.
    if (thread === undefined || !job.running) return
    this.recall(thread)
    this.#pool.stop(thread, job)
    this.#postAhead()
  }

  /** Puts the jobs that wait on a thread back into the queue. */
  recall(thread: Thread): void {
    for (const job of [...thread.jobs]) if (!job.running && thread.recall(job)) this.enqueue(job)
  }

  /** Takes all jobs off a thread that is gone; returns those that cannot run elsewhere. */
  reclaim(thread: Thread): Job[] {
    const lost: Job[] = []
    for (const job of [...thread.jobs]) {
      const untouched = thread.recall(job)
      if (job.running && untouched) this.#runs.returned(job)
      else if (job.running) this.#runs.left(job)
      // What was moved there is gone, whether or not it was used.
      if (untouched && job.transfer === undefined && !job.settled) this.enqueue(job)
      else lost.push(job)
    }
    thread.jobs.length = 0
    return lost
  }

  /** Sees to what waits: short jobs go behind others, and for the rest threads are started. */
  #postAhead(): void {
    for (let job = this.#queue.first(); job !== undefined; job = this.#queue.first()) {
      const thread = this.#pool.threadToPostTo(job)
      if (thread === undefined) break
      this.#queue.remove(job)
      if (this.#mayStart(job, this.#clock.now()) && this.#post(job, thread)) this.#watch(thread)
    }
    if (this.#queue.size > 0) this.#pool.growFor(this.#queue.startable)
  }

  /** A job that waits behind another one. */
  #steal(): Job | undefined {
    for (const thread of this.#pool) {
      const last = thread.jobs.at(-1)
      if (last !== undefined && !last.running && thread.recall(last)) return last
    }
    return undefined
  }

  /** Has an eye on the job that others wait behind. */
  #watch(thread: Thread): void {
    if (thread.heapIndex !== -1) return
    this.#pool.after(thread, PATIENCE_MS, () => {
      if (thread.postedAhead === 0 || thread.job === undefined) return
      if (this.#clock.now() - thread.job.startedAt < PATIENCE_MS) this.#watch(thread)
      else {
        this.recall(thread)
        this.advance()
      }
    })
  }

  /** Whether a job that has waited should still run; else it is settled. */
  #mayStart(job: Job, now: number): boolean {
    const barred = this.#admission.barred(job.task, job.caller)
    if (barred !== undefined) this.#settlement.settle(job, 'refused', barred)
    else if (now >= job.dueAt) job.onDue()
    else return true
    return false
  }

  #start(job: Job, now: number): void {
    const thread = this.#pool.take()!
    if (this.#post(job, thread)) this.#begin(job, now)
    else this.#pool.release(thread)
  }

  /** False when the job has failed for an input that cannot be posted. */
  #post(job: Job, thread: Thread): boolean {
    try {
      thread.post(job)
      return true
    } catch (error) {
      job.task.poison?.withdrawn()
      this.#settlement.settle(job, 'failed', inputError(error, job.input))
      return false
    }
  }

  #begin(job: Job, now: number): void {
    job.running = true
    this.#runs.started(job, now)
    if (!job.settled) this.#expire(job, Math.min(now + job.timeout, job.deadline))
  }

  #expire(job: Job, dueAt: number): void {
    this.#deadlines.remove(job)
    job.dueAt = dueAt
    if (dueAt !== Number.POSITIVE_INFINITY) this.#deadlines.add(job)
  }

  /** The first job of a thread is off it, and the next one is its first. */
  #startNext(thread: Thread): void {
    if (thread.retireFor !== undefined) this.recall(thread)
    const next = thread.job
    if (next === undefined) this.#pool.release(thread)
    else {
      this.#pool.resume(thread)
      this.#begin(next, this.#clock.now())
      if (next.settled) this.stop(next)
    }
  }
}
