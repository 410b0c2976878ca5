import type { Clock } from '@spillway/kit'
import type { Admission } from './admission.js'
import { compact } from './binary.js'
import type { Call } from './call.js'
import type { Deadlines } from './deadlines.js'
import type { TaskDefinition } from './definition.js'
import { TaskTimeoutError, ThreadError } from './errors.js'
import { describe, type ErrorClass } from './failure.js'
import { Job } from './job.js'
import type { Ledger } from './ledger.js'
import type { Outcome } from './outcome.js'
import type { FromThread, Request } from './protocol.js'
import type { JobQueue } from './queue.js'
import { bootError, inputError, loadError, lossError, memoryError, taskError } from './task-error.js'
import type { Loss, Thread } from './thread.js'
import type { ThreadPool, ThreadPoolListener } from './thread-pool.js'
import type { Vacancy } from './vacancy.js'

const MAX_ID = 2 ** 31 - 1

export interface SchedulerSettings {
  readonly errors: ReadonlyMap<string, ErrorClass>
  readonly capture: (() => unknown) | undefined
  readonly clock: Clock
}

/** What a scheduler works with. */
export interface SchedulerParts {
  readonly admission: Admission
  readonly queue: JobQueue
  readonly deadlines: Deadlines
  readonly vacancy: Vacancy
  readonly ledger: Ledger
}

/**
 * Takes calls, refuses what cannot be served in time, hands the others to threads one by one, and settles each exactly
 * once: with the task's result or error, with the caller's reason, or with why it was stopped or its thread was lost.
 * A job is in the queue or on a thread, never in a queue of piscina's, so a refused or aborted job has not run.
 */
export class Scheduler implements ThreadPoolListener {
  readonly #settings: SchedulerSettings
  readonly #admission: Admission
  readonly #queue: JobQueue
  readonly #deadlines: Deadlines
  readonly #vacancy: Vacancy
  readonly #ledger: Ledger
  #pool!: ThreadPool
  #lastId = 0
  #unsettled = 0
  #onDrained: (() => void) | undefined

  constructor(settings: SchedulerSettings, parts: SchedulerParts) {
    this.#settings = settings
    this.#admission = parts.admission
    this.#queue = parts.queue
    this.#deadlines = parts.deadlines
    this.#vacancy = parts.vacancy
    this.#ledger = parts.ledger
  }

  /** The pool and its listener know each other; the pool is made second. */
  use(pool: ThreadPool): void {
    this.#pool = pool
  }

  submit(task: TaskDefinition, input: unknown, call: Call): Promise<unknown> {
    const { signal } = call
    if (signal?.aborted) return Promise.reject(signal.reason)
    const refusal = this.#admission.refusal(task, call)
    if (refusal !== undefined) {
      this.#ledger.refused(task)
      return Promise.reject(refusal)
    }
    this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1
    const now = this.#settings.clock.now()
    const job = new Job(this.#lastId, task, input, call, this.#settings.capture?.(), now)
    const result = new Promise<unknown>((resolve, reject) => {
      job.resolve = resolve
      job.reject = reject
    })
    if (signal !== undefined) this.#listen(job, signal)
    this.#unsettled++
    const thread = task.lane.open ? this.#pool.take() : undefined
    if (thread !== undefined) this.#start(job, thread, now)
    else this.#enqueue(job)
    return result
  }

  /** Resolves when every job has settled. */
  drained(): Promise<void> {
    if (this.#unsettled === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onDrained = resolve
    })
  }

  /** Rejects all that is left. The threads are the pool's to end. */
  abandon(running: Iterable<Job>): void {
    for (const job of this.#queue.take()) {
      this.#settle(job, 'refused', this.#admission.closedError(job.task))
    }
    for (const job of running) {
      const message = `Task ${job.task.label} was ended: the offloader closed`
      this.#settle(job, 'aborted', new ThreadError('ERR_OFFLOAD_TERMINATED', job.task.label, message))
    }
  }

  onAvailable(): void {
    while (this.#pool.idle > 0) {
      const job = this.#queue.shift()
      if (job === undefined) break
      const now = this.#settings.clock.now()
      const barred = this.#admission.barred(job.task)
      if (barred !== undefined) this.#settle(job, 'refused', barred)
      else if (now >= job.dueAt) job.onDue()
      else this.#start(job, this.#pool.take()!, now)
    }
    if (this.#queue.size > 0) this.#pool.grow(this.#queue.startable)
    this.#vacancy.offer()
  }

  onMessage(thread: Thread, message: FromThread): void {
    const { job } = thread
    if (job === undefined || job.id !== message.id || job.settled) return
    if ('progress' in message) this.#report(job, message.progress)
    else if ('memory' in message) this.#overMemory(job, thread, message.memory)
  }

  onLost(thread: Thread, loss: Loss): void {
    const { job } = thread
    if (job === undefined) return
    thread.job = undefined
    this.#ledger.left(job)
    if (job.settled) {
      job.task.poison?.withdrawn()
      return
    }
    job.task.poison?.died()
    this.#settle(job, 'crashed', lossError(job.task, loss))
  }

  onBroken(error: unknown): void {
    for (const job of this.#queue.take()) this.#settle(job, 'crashed', bootError(job.task, error))
  }

  #listen(job: Job, signal: AbortSignal): void {
    const onAbort = () => this.#cancel(job, 'aborted', signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    job.release = () => signal.removeEventListener('abort', onAbort)
  }

  #enqueue(job: Job): void {
    job.expectedRun = job.task.track.meanRun ?? this.#ledger.meanRun
    job.dueAt = Math.min(job.enqueuedAt + job.maxWait, job.deadline)
    job.onDue = () => this.#waitedTooLong(job)
    if (job.dueAt !== Number.POSITIVE_INFINITY) this.#deadlines.add(job)
    this.#queue.push(job, job.task.lane)
    this.#pool.grow(this.#queue.startable)
  }

  #start(job: Job, thread: Thread, now: number): void {
    this.#deadlines.remove(job)
    this.#ledger.started(job, now)
    job.dueAt = Math.min(now + job.timeout, job.deadline)
    job.thread = thread
    thread.job = job
    if (job.dueAt !== Number.POSITIVE_INFINITY) {
      job.onDue = () => this.#ranTooLong(job)
      this.#deadlines.add(job)
    }
    const input = job.transfer === undefined ? compact(job.input) : job.input
    thread.run(requestOf(job, thread, input), job.transfer).then(
      (value) => this.#finish(job, thread, value),
      (error) => this.#fail(job, thread, error, input),
    )
    job.input = undefined
  }

  #finish(job: Job, thread: Thread, answer: unknown): void {
    let value = answer
    if (typeof answer === 'object' && answer !== null && 'posted' in answer) value = thread.takePosted()
    else if (job.onProgress !== undefined) thread.drain()
    job.task.poison?.survived()
    // Only now is it sure that the thread has the function: a failed call may never have got there.
    thread.known.add(job.task)
    job.task.module?.loaded()
    if (!job.settled) this.#settle(job, 'completed', value)
    this.#leave(job, thread)
  }

  #fail(job: Job, thread: Thread, error: unknown, input: unknown): void {
    if (thread.failing) return // onLost comes, and knows more
    if (job.onProgress !== undefined) thread.drain()
    const cause = taskError(error, job.task, this.#settings.errors) ?? inputError(error, input)
    const code = cause instanceof ThreadError ? cause.code : undefined
    if (code === 'ERR_OFFLOAD_LOAD') this.#notLoaded(job.task, thread, cause.cause)
    else if (code === 'ERR_OFFLOAD_MEMORY') {
      // Memory that the module keeps is given back only with the thread.
      thread.retireFor = 'memory'
      job.task.poison?.died()
    } else job.task.poison?.survived()
    if (!job.settled) this.#settle(job, 'failed', cause)
    this.#leave(job, thread)
  }

  /** A module that failed stays failed in this thread. All that wait for it hear at once: a thread each would tell the same. */
  #notLoaded({ module }: TaskDefinition, thread: Thread, cause: unknown): void {
    thread.retireFor = 'load'
    module?.failed(cause)
    for (const job of this.#queue.take(({ task }) => task.module === module)) {
      this.#settle(job, 'refused', loadError(job.task, cause))
    }
  }

  /** A caller whose `onProgress` throws does not want the rest. */
  #report(job: Job, progress: unknown): void {
    try {
      job.onProgress?.(progress)
    } catch (error) {
      this.#cancel(job, 'aborted', error)
    }
  }

  #leave(job: Job, thread: Thread): void {
    this.#ledger.left(job)
    this.#pool.give(thread)
    this.onAvailable()
  }

  #waitedTooLong(job: Job): void {
    if (job.dueAt >= job.deadline) {
      this.#cancel(job, 'timedOut', this.#late(job))
      return
    }
    const message = `it waited ${job.maxWait} ms for a thread`
    const wait = this.#admission.expectedWait(job.task)
    this.#cancel(
      job,
      'refused',
      this.#admission.overloaded('ERR_OFFLOAD_QUEUE_TIMEOUT', job.task, wait, message),
    )
  }

  #ranTooLong(job: Job): void {
    if (job.dueAt >= job.deadline) {
      this.#cancel(job, 'timedOut', this.#late(job))
      return
    }
    const message = `Task ${job.task.label} ran longer than ${job.timeout} ms`
    this.#cancel(
      job,
      'timedOut',
      new TaskTimeoutError('ERR_OFFLOAD_TIMEOUT', job.task.label, job.timeout, message),
    )
  }

  #late(job: Job): TaskTimeoutError {
    const given = Math.round(job.deadline - job.enqueuedAt)
    const message = `Task ${job.task.label} was not done within ${given} ms`
    return new TaskTimeoutError('ERR_OFFLOAD_DEADLINE', job.task.label, given, message)
  }

  #overMemory(job: Job, thread: Thread, bytes: number): void {
    job.task.poison?.died()
    this.#settle(job, 'crashed', memoryError(job.task, bytes))
    this.#pool.end(thread, 'memory')
  }

  /** The caller gets its answer at once; the work is taken out of the queue, or stopped. */
  #cancel(job: Job, outcome: Outcome, reason: unknown): void {
    if (job.settled) return
    this.#settle(job, outcome, reason)
    if (job.thread !== undefined) this.#pool.stop(job.thread, job.id, describe(reason), job.task.terminable)
    else {
      job.task.poison?.withdrawn()
      this.#queue.remove(job)
      this.#vacancy.offer()
    }
  }

  #settle(job: Job, outcome: Outcome, value: unknown): void {
    job.settled = true
    this.#deadlines.remove(job)
    job.release()
    this.#ledger.settled(job, outcome)
    if (outcome === 'completed') job.resolve(value)
    else job.reject(value)
    if (--this.#unsettled === 0) this.#onDrained?.()
  }
}

function requestOf({ id, task, carried }: Job, thread: Thread, input: unknown): Request {
  const request: { -readonly [Name in keyof Request]: Request[Name] } = { id, task: task.id, input }
  if (task.module !== undefined && !thread.known.has(task)) {
    request.origin = { module: task.module.href, name: task.name, loader: task.module.loader }
  }
  if (carried !== undefined) request.carried = carried
  return request
}
