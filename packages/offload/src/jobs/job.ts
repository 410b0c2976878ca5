import type { Transferable } from 'node:worker_threads'
import type { Caller, Deadline } from '@spillway/kit'
import type { Priority } from '../options.js'
import type { ResolvedCall } from './call-options.js'
import type { Lane } from './lane.js'
import { callerOfJob } from './outcome.js'
import type { TaskDefinition } from './task-definition.js'

/** The thread that a job has been posted to. */
export interface JobHost {
  /** Takes back a job that has not started; false when it has. */
  recall(job: Job): boolean
  /** Delivers the answers that the event loop has not delivered yet. */
  drain(): void
}

/** One call of a task, from admission until it settles. */
export class Job implements Deadline {
  readonly task: TaskDefinition
  readonly input: unknown
  readonly transfer: readonly Transferable[] | undefined
  readonly priority: Priority
  readonly enqueuedAt: number
  readonly onProgress: ((progress: unknown) => void) | undefined
  readonly carried: unknown
  /** The async context in which its end is published. */
  readonly caller: Caller | undefined = callerOfJob()
  /** The time after which the result is not needed. */
  readonly deadline: number
  readonly maxWait: number
  /** Run time it may take, in milliseconds; `Infinity` for no limit. */
  readonly timeout: number
  /** Order within the queue: smaller goes first. */
  rank = 0
  startedAt = 0
  settled = false
  /** How often it has been run again. */
  retries = 0
  /** It is the first job of its thread, and runs. */
  running = false
  /** Why it was stopped, after it has settled. */
  reason: unknown
  /** The thread that it was posted to; its ticket there is `ticket`. */
  host: JobHost | undefined
  ticket = 0
  /** Milliseconds of work it stands for in the queue. */
  expectedRun = 0

  // Its place in the queue.
  lane: Lane | undefined
  previous: Job | undefined
  next: Job | undefined

  // Its place among the deadlines.
  dueAt = Number.POSITIVE_INFINITY
  heapIndex = -1
  onDue: () => void = nothing

  resolve: (value: unknown) => void = nothing
  reject: (error: unknown) => void = nothing
  /** Removes the abort listener from the caller's signal. */
  release: () => void = nothing

  constructor(
    task: TaskDefinition,
    input: unknown,
    call: ResolvedCall,
    carried: unknown,
    enqueuedAt: number,
  ) {
    this.task = task
    this.input = input
    this.transfer = call.transfer
    this.priority = call.priority
    this.timeout = call.timeout
    this.deadline = enqueuedAt + call.deadline
    this.maxWait = call.maxWait
    this.onProgress = call.onProgress
    this.carried = carried
    this.enqueuedAt = enqueuedAt
  }
}

function nothing(): void {}
