import { type Clock, offAbort, onAbort } from '@spillway/kit'
import { ThreadError } from '../errors.js'
import type { ResolvedCall } from '../jobs/call-options.js'
import { Job } from '../jobs/job.js'
import type { JobQueue } from '../jobs/job-queue.js'
import type { Outcome } from '../jobs/outcome.js'
import type { TaskDefinition } from '../jobs/task-definition.js'
import type { ErrorClass } from '../options.js'
import type { Thread, ThreadLoss } from '../threads/thread.js'
import type { ThreadPool, ThreadPoolListener } from '../threads/thread-pool.js'
import type { Failure } from '../wire/failure.js'
import type { FromThread } from '../wire/protocol.js'
import type { Admission } from './admission.js'
import type { CapacityQueue } from './capacity-queue.js'
import type { Dispatcher } from './dispatcher.js'
import type { RunStats } from './run-stats.js'
import type { Settlement } from './settlement.js'
import {
  bootError,
  collateralError,
  deadlineError,
  loadError,
  lossError,
  memoryError,
  taskError,
  terminatedError,
  timeoutError,
} from './task-errors.js'

/** How often a call is run again when another call has ended its thread. */
const MOST_RETRIES = 2

export interface SchedulerSettings {
  readonly errors: ReadonlyMap<string, ErrorClass>
  readonly capture: (() => unknown) | undefined
  readonly clock: Clock
}

/** Collaborators of a {@link Scheduler}. */
export interface SchedulerParts {
  readonly admission: Admission
  readonly queue: JobQueue
  readonly pool: ThreadPool
  readonly dispatcher: Dispatcher
  readonly settlement: Settlement
  readonly capacityQueue: CapacityQueue
  readonly runs: RunStats
}

/**
 * Facade of the scheduling: refuses calls that cannot be served in time, and settles each accepted one exactly once: with the
 * task's result or error, with the caller's abort reason, or with the error of a timeout or a lost thread.
 */
export class Scheduler implements ThreadPoolListener {
  readonly #settings: SchedulerSettings
  readonly #admission: Admission
  readonly #queue: JobQueue
  readonly #settlement: Settlement
  readonly #capacityQueue: CapacityQueue
  readonly #runs: RunStats
  readonly #pool: ThreadPool
  readonly #dispatcher: Dispatcher

  constructor(settings: SchedulerSettings, parts: SchedulerParts) {
    this.#settings = settings
    this.#admission = parts.admission
    this.#queue = parts.queue
    this.#pool = parts.pool
    this.#dispatcher = parts.dispatcher
    this.#settlement = parts.settlement
    this.#capacityQueue = parts.capacityQueue
    this.#runs = parts.runs
  }

  submit(task: TaskDefinition, input: unknown, call: ResolvedCall): Promise<unknown> {
    const { signal } = call
    if (signal?.aborted) return Promise.reject(signal.reason)
    const refusal = this.#admission.refusal(task, call)
    if (refusal !== undefined) {
      this.#runs.refused(task)
      return Promise.reject(refusal)
    }
    const now = this.#settings.clock.now()
    const job = new Job(task, input, call, this.#settings.capture?.(), now)
    job.onDue = () => (job.running ? this.#ranTooLong(job) : this.#waitedTooLong(job))
    const result = this.#settlement.promise(job)
    if (signal !== undefined) this.#listen(job, signal)
    this.#dispatcher.dispatch(job)
    return result
  }

  /** Rejects all jobs that are left. The pool ends the threads. */
  abandon(): void {
    for (const thread of this.#pool) this.#dispatcher.recall(thread)
    for (const job of this.#queue.take()) {
      this.#settlement.settle(job, 'refused', this.#admission.closedError(job.task, job.caller))
    }
    for (const thread of this.#pool) {
      for (const job of thread.jobs) {
        if (!job.settled) this.#settlement.settle(job, 'aborted', terminatedError(job.task))
      }
    }
  }

  onAvailable(): void {
    this.#dispatcher.advance()
    this.#capacityQueue.offer()
  }

  onMessage(thread: Thread, message: FromThread): void {
    const { job } = thread
    if (job === undefined || job.ticket !== message.ticket) return
    if ('result' in message) this.#finish(job, thread, message.result)
    else if ('failure' in message) this.#fail(job, thread, message.failure)
    else if (job.settled) return
    else if ('progress' in message) this.#report(job, message.progress)
    else this.#overMemory(job, thread, message.memory)
  }

  /** Charges the crash to the call that caused it. Other jobs of that thread fail with it, or run again, and are not charged. */
  onLost(thread: Thread, loss: ThreadLoss): void {
    const { culprit } = loss
    const lost = this.#dispatcher.reclaim(thread)
    if (culprit !== undefined && lost.every(({ ticket }) => ticket !== culprit.ticket))
      culprit.task?.poison?.died()
    for (const job of lost) {
      const ran = job.host !== undefined
      const isCollateral = ran && culprit !== undefined && culprit.ticket !== job.ticket
      if (ran && !isCollateral && !job.settled) job.task.poison?.died()
      else job.task.poison?.withdrawn()
      if (job.settled) continue
      if (isCollateral && this.#mayRunAgain(job)) this.#dispatcher.requeue(job)
      else if (isCollateral) this.#settlement.settle(job, 'crashed', collateralError(job.task, loss))
      else this.#settlement.settle(job, 'crashed', lossError(job.task, loss))
    }
  }

  /** Transferred buffers were lost with the thread, so such a call cannot run again. */
  #mayRunAgain(job: Job): boolean {
    return job.task.rules.idempotent && job.transfer === undefined && job.retries < MOST_RETRIES
  }

  onBroken(error: unknown): void {
    for (const job of this.#queue.take()) this.#settlement.settle(job, 'crashed', bootError(job.task, error))
  }

  #listen(job: Job, signal: AbortSignal): void {
    const cancel = () => this.#cancel(job, 'aborted', signal.reason)
    onAbort(signal, cancel)
    job.release = () => offAbort(signal, cancel)
  }

  #finish(job: Job, thread: Thread, value: unknown): void {
    job.task.poison?.survived()
    // A result proves that the thread has loaded the function; after a failure it may not have.
    thread.known.add(job.task)
    job.task.module?.loaded()
    if (!job.settled) this.#settlement.settle(job, 'completed', value)
    this.#leaveThread(job, thread)
  }

  #fail(job: Job, thread: Thread, failure: Failure): void {
    const cause = taskError(failure, job.task, this.#settings.errors)
    const code = cause instanceof ThreadError ? cause.code : undefined
    if (code === 'ERR_OFFLOAD_LOAD') this.#notLoaded(job.task, thread, cause.cause)
    else if (code === 'ERR_OFFLOAD_MEMORY') {
      // Memory that the module keeps is given back only with the thread.
      thread.retireFor = 'memory'
      job.task.poison?.died()
    } else job.task.poison?.survived()
    if (!job.settled) this.#settlement.settle(job, 'failed', cause)
    this.#leaveThread(job, thread)
  }

  /** A module that failed to load stays failed in this thread. Its waiting jobs are refused at once: they would fail alike. */
  #notLoaded({ module }: TaskDefinition, thread: Thread, cause: unknown): void {
    thread.retireFor = 'load'
    module?.failed(cause)
    for (const job of this.#queue.take(({ task }) => task.module === module)) {
      this.#settlement.settle(job, 'refused', loadError(job.task, cause))
    }
  }

  /** Calls `onProgress`. When it throws, the task is stopped. */
  #report(job: Job, progress: unknown): void {
    try {
      job.onProgress?.(progress)
    } catch (error) {
      this.#cancel(job, 'aborted', error)
    }
  }

  #leaveThread(job: Job, thread: Thread): void {
    this.#dispatcher.finish(job, thread)
    this.onAvailable()
  }

  #waitedTooLong(job: Job): void {
    if (job.dueAt >= job.deadline) {
      this.#cancel(job, 'timedOut', deadlineError(job))
      return
    }
    if (!this.#dispatcher.withdraw(job)) return // It has started just now.
    const message = `it waited ${job.maxWait} ms for a thread`
    const wait = this.#admission.expectedWait(job.task)
    this.#settlement.settle(
      job,
      'refused',
      this.#admission.overloaded('ERR_OFFLOAD_QUEUE_TIMEOUT', job.task, wait, message, job.caller),
    )
    this.#capacityQueue.offer()
  }

  #ranTooLong(job: Job): void {
    // When our own event loop was blocked, the answer may have come in time.
    job.host?.drain()
    this.#cancel(job, 'timedOut', job.dueAt >= job.deadline ? deadlineError(job) : timeoutError(job))
  }

  #overMemory(job: Job, thread: Thread, bytes: number): void {
    job.task.poison?.died()
    this.#settlement.settle(job, 'crashed', memoryError(job.task, bytes))
    this.#pool.end(thread, 'memory')
  }

  /** Settles a job at once, and withdraws it or stops its task. */
  #cancel(job: Job, outcome: Outcome, reason: unknown): void {
    if (job.settled) return
    this.#settlement.settle(job, outcome, reason)
    job.reason = reason
    if (!this.#dispatcher.withdraw(job)) this.#dispatcher.stop(job)
    this.#capacityQueue.offer()
  }
}
