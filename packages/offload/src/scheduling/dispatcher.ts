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

/** Collaborators of a {@link Dispatcher}. */
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
 * Moves jobs from the queue to threads. On a thread the first job runs; short jobs are posted behind it, so that the thread
 * need not wait for the main thread between them. A job that was posted ahead still waits. The dispatcher takes it back when
 * it is cancelled, when the running job takes long, when another thread is idle, and when its thread is lost.
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

  /** Starts an accepted job, or puts it into the queue. */
  dispatch(job: Job): void {
    if (job.task.lane.open && this.#pool.idle > 0) this.#start(job, job.enqueuedAt)
    else {
      this.enqueue(job)
      this.#postAhead()
    }
  }

  /** Puts a job into the queue, at the place of its time of arrival. */
  enqueue(job: Job): void {
    job.expectedRun = job.task.runs.meanRun ?? this.#runs.meanRun
    job.running = false
    this.#expire(job, Math.min(job.enqueuedAt + job.maxWait, job.deadline))
    this.#queue.push(job, job.task.lane)
  }

  /** Puts a job that ran on a lost thread back into the queue, to run again. */
  requeue(job: Job): void {
    job.retries++
    job.host = undefined
    this.enqueue(job)
  }

  /** Starts waiting jobs while threads are idle. */
  advance(): void {
    while (this.#pool.idle > 0) {
      const job = this.#queue.shift() ?? this.#steal()
      if (job === undefined) break
      const now = this.#clock.now()
      if (this.#mayStart(job, now)) this.#start(job, now)
    }
    this.#postAhead()
  }

  /** Takes the running job off its thread, and starts the next one there. */
  finish(job: Job, thread: Thread): void {
    this.#runs.left(job)
    thread.finish(job)
    this.#startNext(thread)
  }

  /** Takes a job that has not started out of the queue or off its thread; false when it has started. */
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

  /** Stops a running job whose promise is settled. Its thread is terminated when it does not end in time. */
  stop(job: Job): void {
    const thread = this.#pool.threadOf(job)
    // The thread has started it before the answer of the job ahead arrived here; #startNext calls again.
    if (thread === undefined || !job.running) return
    this.recall(thread)
    this.#pool.stop(thread, job)
    this.#postAhead()
  }

  /** Puts the jobs that were posted ahead to a thread back into the queue. */
  recall(thread: Thread): void {
    for (const job of [...thread.jobs]) if (!job.running && thread.recall(job)) this.enqueue(job)
  }

  /** Takes all jobs off a lost thread; returns those that cannot run on another one. */
  reclaim(thread: Thread): Job[] {
    const lost: Job[] = []
    for (const job of [...thread.jobs]) {
      const untouched = thread.recall(job)
      if (job.running && untouched) this.#runs.returned(job)
      else if (job.running) this.#runs.left(job)
      // Transferred buffers are lost with the thread, whether or not the job had started.
      if (untouched && job.transfer === undefined && !job.settled) this.enqueue(job)
      else lost.push(job)
    }
    thread.jobs.length = 0
    return lost
  }

  /** Posts short waiting jobs behind running ones, and starts threads for the rest. */
  #postAhead(): void {
    for (let job = this.#queue.first(); job !== undefined; job = this.#queue.first()) {
      const thread = this.#pool.threadToPostTo(job)
      if (thread === undefined) break
      this.#queue.remove(job)
      if (this.#mayStart(job, this.#clock.now()) && this.#post(job, thread)) this.#watch(thread)
    }
    if (this.#queue.size > 0) this.#pool.growFor(this.#queue.startable)
  }

  /** Takes back the last job that was posted ahead, for an idle thread. */
  #steal(): Job | undefined {
    for (const thread of this.#pool) {
      const last = thread.jobs.at(-1)
      if (last !== undefined && !last.running && thread.recall(last)) return last
    }
    return undefined
  }

  /** After 5 ms of run time, re-queues the jobs that were posted behind the running one. */
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

  /** Whether a job that has waited may still start; if not, it is settled. */
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

  /** Posts a job; false when its input cannot be posted and the job has failed. */
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

  /** After the running job has left its thread: the next job there runs, or the thread is idle. */
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
