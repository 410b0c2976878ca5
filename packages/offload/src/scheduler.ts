import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { Clock } from '@spillway/kit'
import { compact } from './binary.js'
import type { Call } from './call.js'
import type { Deadlines } from './deadlines.js'
import type { TaskDefinition } from './definition.js'
import { OverloadedError, type RefusalCode, TaskTimeoutError, ThreadError } from './errors.js'
import { describe, type ErrorClass } from './failure.js'
import { Job } from './job.js'
import { OUTCOMES, type Outcome, refuseChannel, runChannel } from './outcome.js'
import type { FromThread, Request } from './protocol.js'
import type { JobQueue } from './queue.js'
import { bootError, inputError, loadError, lossError, memoryError, taskError } from './task-error.js'
import type { Loss, Thread } from './thread.js'
import type { ThreadPool, ThreadPoolListener } from './thread-pool.js'
import type { Vacancy } from './vacancy.js'

const MAX_ID = 2 ** 31 - 1

export interface SchedulerSettings {
  readonly threads: number
  /** Jobs that may wait. */
  readonly queueLimit: number
  readonly errors: ReadonlyMap<string, ErrorClass>
  readonly capture: (() => unknown) | undefined
  readonly clock: Clock
}

/**
 * Takes calls, refuses what cannot be served in time, hands the others to threads one by one, and settles each exactly
 * once: with the task's result or error, with the caller's reason, or with why it was stopped or its thread was lost.
 * A job is in the queue or on a thread, never in a queue of piscina's, so a refused or aborted job has not run.
 */
export class Scheduler implements ThreadPoolListener {
  readonly #settings: SchedulerSettings
  readonly #queue: JobQueue
  readonly #deadlines: Deadlines
  readonly #vacancy: Vacancy
  #pool!: ThreadPool
  #lastId = 0
  #meanRun = 0
  #unsettled = 0
  #onDrained: (() => void) | undefined
  closed = false
  busyMs = 0
  readonly wait: RecordableHistogram = createHistogram()
  readonly run: RecordableHistogram = createHistogram()
  readonly counts: Record<Outcome, number> = { ...OUTCOMES }

  constructor(settings: SchedulerSettings, queue: JobQueue, deadlines: Deadlines, vacancy: Vacancy) {
    this.#settings = settings
    this.#queue = queue
    this.#deadlines = deadlines
    this.#vacancy = vacancy
  }

  /** The pool and its listener know each other; the pool is made second. */
  use(pool: ThreadPool): void {
    this.#pool = pool
  }

  /** How many more calls would be taken now. */
  get capacity(): number {
    if (this.closed) return 0
    return Math.max(0, this.#settings.queueLimit + this.#openPlaces() + this.#pool.idle - this.#queue.size)
  }

  /** Milliseconds a new job of the task would probably wait. */
  expectedWait(task: TaskDefinition, level = task.level): number {
    if (this.#pool.idle > 0 && task.lane.open) return 0
    const running = this.#pool.size - this.#pool.idle - this.#pool.booting
    const residual = (running * this.#meanRun) / 2
    const work = (this.#queue.workBefore(level) + residual) / this.#settings.threads
    if (task.lane.cap === Number.POSITIVE_INFINITY) return work
    // A capped task is served at the rate of its cap, whatever else is free.
    const own = ((task.lane.size + task.lane.running / 2) * (task.meanRun ?? 0)) / task.lane.cap
    return Math.max(own, work)
  }

  submit(task: TaskDefinition, input: unknown, call: Call): Promise<unknown> {
    const { signal } = call
    if (signal?.aborted) return Promise.reject(signal.reason)
    const refusal = this.#refusal(task, call)
    if (refusal !== undefined) return Promise.reject(refusal)
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
    for (const job of this.#queue.clear()) {
      this.#settle(
        job,
        'refused',
        this.#overloaded('ERR_OFFLOAD_CLOSED', job.task, 0, 'the offloader is closed'),
      )
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
      if (now >= job.dueAt) job.onDue()
      else this.#start(job, this.#pool.take()!, now)
    }
    if (this.#queue.size > 0) this.#pool.grow(this.#queue.startable)
    this.#vacancy.offer()
  }

  onMessage(thread: Thread, message: FromThread): void {
    const { job } = thread
    if (job === undefined || job.id !== message.id || job.settled) return
    if ('progress' in message) job.onProgress?.(message.progress)
    else if ('memory' in message) this.#overMemory(job, thread, message.memory)
  }

  onLost(thread: Thread, loss: Loss): void {
    const { job } = thread
    if (job === undefined) return
    thread.job = undefined
    this.#record(job)
    if (job.settled) {
      job.task.poison?.withdrawn()
      return
    }
    this.#died(job)
    this.#settle(job, 'crashed', lossError(job.task, loss))
  }

  onBroken(error: unknown): void {
    for (const job of this.#queue.clear()) this.#settle(job, 'crashed', bootError(job.task, error))
  }

  #refusal(task: TaskDefinition, call: Call): Error | undefined {
    if (this.closed) return this.#refuse('ERR_OFFLOAD_CLOSED', task, 0, 'the offloader is closed')
    if (this.#pool.brokenBy !== undefined) return bootError(task, this.#pool.brokenBy)
    if (task.module !== undefined && task.module.closedFor > 0) return loadError(task, task.module.failure)
    const poisoned = task.poison?.admit() ?? 0
    if (poisoned > 0) {
      return this.#refuse('ERR_OFFLOAD_POISON', task, poisoned, 'it keeps killing the threads it runs on')
    }
    if (task.lane.open && this.#pool.idle > 0) return undefined
    const full = this.#queue.size >= this.#settings.queueLimit + this.#openPlaces()
    if (!full && call.maxWait === Number.POSITIVE_INFINITY) return undefined
    const expected = this.expectedWait(task, call.level)
    if (!full && expected <= call.maxWait) return undefined
    task.poison?.withdrawn()
    return full
      ? this.#refuse('ERR_OFFLOAD_QUEUE_FULL', task, expected, `${this.#queue.size} tasks wait already`)
      : this.#refuse(
          'ERR_OFFLOAD_WAIT',
          task,
          expected - call.maxWait,
          `it would wait about ${Math.round(expected)} ms, and may wait ${call.maxWait} ms`,
        )
  }

  #refuse(code: RefusalCode, task: TaskDefinition, retryAfter: number, reason: string): OverloadedError {
    this.counts.refused++
    return this.#overloaded(code, task, retryAfter, reason)
  }

  #overloaded(code: RefusalCode, task: TaskDefinition, retryAfter: number, reason: string): OverloadedError {
    refuseChannel.publish(() => ({ task: task.label, code, retryAfter, queued: this.#queue.size }))
    return new OverloadedError(code, task.label, retryAfter, `Task ${task.label} was refused: ${reason}`)
  }

  /** Threads that may be had but are not there yet: a queue of zero must not refuse the first call. */
  #openPlaces(): number {
    return this.#settings.threads - this.#pool.size + this.#pool.booting
  }

  #listen(job: Job, signal: AbortSignal): void {
    const onAbort = () => this.#cancel(job, 'aborted', signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    job.release = () => signal.removeEventListener('abort', onAbort)
  }

  #enqueue(job: Job): void {
    job.expectedRun = job.task.meanRun ?? this.#meanRun
    job.dueAt = Math.min(job.enqueuedAt + job.maxWait, job.deadline)
    job.onDue = () => this.#waitedTooLong(job)
    if (job.dueAt !== Number.POSITIVE_INFINITY) this.#deadlines.add(job)
    this.#queue.push(job, job.task.lane)
    this.#pool.grow(this.#queue.startable)
  }

  #start(job: Job, thread: Thread, now: number): void {
    const { task } = job
    this.wait.record(Math.max(1, Math.round((now - job.enqueuedAt) * 1_000)))
    this.#deadlines.remove(job)
    job.startedAt = now
    job.dueAt = Math.min(now + job.timeout, job.deadline)
    job.thread = thread
    thread.job = job
    task.enter()
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
    this.#survived(job, thread)
    if (!job.settled) this.#settle(job, 'completed', value)
    this.#leave(job, thread)
  }

  #fail(job: Job, thread: Thread, error: unknown, input: unknown): void {
    if (thread.failing) return // onLost comes, and knows more
    if (job.onProgress !== undefined) thread.drain()
    const cause = taskError(error, job.task, this.#settings.errors) ?? inputError(error, input)
    if (cause instanceof ThreadError) {
      // A module that failed to load stays failed in this thread, and memory that was taken is only given back with it.
      thread.retireFor = cause.code === 'ERR_OFFLOAD_LOAD' ? 'load' : 'memory'
      if (cause.code === 'ERR_OFFLOAD_LOAD') job.task.module?.failed(cause.cause)
      else this.#died(job)
    } else this.#survived(job, thread)
    if (!job.settled) this.#settle(job, 'failed', cause)
    this.#leave(job, thread)
  }

  #leave(job: Job, thread: Thread): void {
    this.#record(job)
    this.#pool.give(thread)
    this.onAvailable()
  }

  /** The job is off its thread. */
  #record(job: Job): void {
    const took = this.#settings.clock.now() - job.startedAt
    this.busyMs += took
    this.run.record(Math.max(1, Math.round(took * 1_000)))
    job.task.record(took)
    this.#meanRun = this.#meanRun === 0 ? took : this.#meanRun + 0.1 * (took - this.#meanRun)
    job.task.leave()
  }

  #waitedTooLong(job: Job): void {
    if (job.dueAt >= job.deadline) {
      this.#cancel(job, 'timedOut', this.#late(job))
      return
    }
    const message = `it waited ${job.maxWait} ms for a thread`
    this.#cancel(
      job,
      'refused',
      this.#overloaded('ERR_OFFLOAD_QUEUE_TIMEOUT', job.task, this.expectedWait(job.task), message),
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
    this.#died(job)
    this.#settle(job, 'crashed', memoryError(job.task, bytes))
    this.#pool.end(thread, 'memory')
  }

  #survived({ task }: Job, thread: Thread): void {
    task.poison?.survived()
    if (task.module === undefined || thread.known.has(task)) return
    thread.known.add(task)
    task.module.loaded()
  }

  #died(job: Job): void {
    job.task.poison?.died()
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
    this.counts[outcome]++
    if (outcome === 'completed') job.task.completed++
    else job.task.failed++
    runChannel.publish(() => {
      const now = this.#settings.clock.now()
      const started = job.startedAt || now
      return { task: job.task.label, outcome, wait: started - job.enqueuedAt, run: now - started }
    })
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
