import type { Caller } from '@spillway/kit'
import { OverloadedError, type RefusalCode } from '../errors.js'
import type { ResolvedCall } from '../jobs/call-options.js'
import type { JobQueue } from '../jobs/job-queue.js'
import { refuseChannel } from '../jobs/outcome.js'
import type { TaskDefinition } from '../jobs/task-definition.js'
import type { Priority } from '../options.js'
import type { ThreadPool } from '../threads/thread-pool.js'
import type { RunStats } from './run-stats.js'
import { bootError, loadError } from './task-errors.js'

export interface AdmissionSettings {
  readonly threads: number
  /** Jobs that may wait. */
  readonly queueLimit: number
}

/** Admission control: accepts or refuses a call by what waits, what runs, and how long runs have taken so far. */
export class Admission {
  readonly #settings: AdmissionSettings
  readonly #queue: JobQueue
  readonly #runs: RunStats
  readonly #pool: ThreadPool
  closed = false

  constructor(settings: AdmissionSettings, queue: JobQueue, pool: ThreadPool, runs: RunStats) {
    this.#settings = settings
    this.#queue = queue
    this.#pool = pool
    this.#runs = runs
  }

  /** How many more calls would be accepted now. */
  get capacity(): number {
    if (this.closed) return 0
    return Math.max(0, this.#settings.queueLimit + this.#openPlaces() + this.#pool.idle - this.waiting)
  }

  /** Jobs that have not started: in the queue, or posted to a thread behind a running job. */
  get waiting(): number {
    return this.#queue.size + this.#pool.postedAhead
  }

  /** Milliseconds a new job of the task would probably wait. */
  expectedWait(task: TaskDefinition, priority: Priority = task.rules.priority): number {
    if (this.#pool.idle > 0 && task.lane.open) return 0
    const running = this.#pool.size - this.#pool.idle - this.#pool.booting
    const residual = (running * this.#runs.meanRun) / 2
    const work = (this.#queue.workBefore(priority) + residual) / this.#settings.threads
    if (task.lane.cap === Number.POSITIVE_INFINITY) return work
    // A capped task is served at the rate of its cap, whatever else is free.
    const own = ((task.lane.size + task.lane.running / 2) * (task.runs.meanRun ?? 0)) / task.lane.cap
    return Math.max(own, work)
  }

  /** The refusal of a new call; `undefined` when it is accepted. */
  refusal(task: TaskDefinition, call: ResolvedCall): Error | undefined {
    if (this.closed) return this.closedError(task)
    if (this.#pool.bootFailure !== undefined) return bootError(task, this.#pool.bootFailure)
    const barred = this.barred(task)
    if (barred !== undefined) return barred
    const poisoned = task.poison?.admit() ?? 0
    if (poisoned > 0) return this.#poisonError(task, poisoned)
    if (task.lane.open && this.#pool.idle > 0) return undefined
    const full = this.waiting >= this.#settings.queueLimit + this.#openPlaces()
    if (!full && call.maxWait === Number.POSITIVE_INFINITY) return undefined
    const expected = this.expectedWait(task, call.priority)
    if (!full && expected <= call.maxWait) return undefined
    task.poison?.withdrawn()
    if (full) {
      return this.overloaded('ERR_OFFLOAD_QUEUE_FULL', task, expected, `${this.waiting} tasks wait already`)
    }
    const reason = `it would wait about ${Math.round(expected)} ms, and may wait ${call.maxWait} ms`
    return this.overloaded('ERR_OFFLOAD_WAIT', task, expected - call.maxWait, reason)
  }

  /** Why an accepted job must not start: its module failed to load, or its task was refused for crashes, while it waited. */
  barred(task: TaskDefinition, caller?: Caller): Error | undefined {
    if (task.module !== undefined && task.module.closedFor > 0) return loadError(task, task.module.failure)
    const poisoned = task.poison?.refusedFor ?? 0
    return poisoned > 0 ? this.#poisonError(task, poisoned, caller) : undefined
  }

  closedError(task: TaskDefinition, caller?: Caller): OverloadedError {
    return this.overloaded('ERR_OFFLOAD_CLOSED', task, 0, 'the offloader is closed', caller)
  }

  /** @param caller in whose context the refusal is published, when the call was accepted before */
  overloaded(
    code: RefusalCode,
    task: TaskDefinition,
    retryAfter: number,
    reason: string,
    caller?: Caller,
  ): OverloadedError {
    refuseChannel.publish(() => ({ task: task.label, code, retryAfter, queued: this.waiting }), caller)
    return new OverloadedError(code, task.label, retryAfter, `task ${task.label}: ${reason}`)
  }

  #poisonError(task: TaskDefinition, milliseconds: number, caller?: Caller): OverloadedError {
    return this.overloaded(
      'ERR_OFFLOAD_POISON',
      task,
      milliseconds,
      'it keeps killing the threads it runs on',
      caller,
    )
  }

  /** Threads that may still start or are starting: with `queue: 0` the first call must not be refused. */
  #openPlaces(): number {
    return this.#settings.threads - this.#pool.size + this.#pool.booting
  }
}
