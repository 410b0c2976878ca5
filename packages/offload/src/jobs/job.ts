import type { Transferable } from 'node:worker_threads'
import type { Caller, Deadline } from '@spillway/kit'
import type { Priority } from '../options.js'
import type { ResolvedCall } from './call-options.js'
import type { Lane } from './lane.js'
import { callerOfJob } from './outcome.js'
import type { TaskDefinition } from './task-definition.js'

/** The thread that a job has been posted to. */
export interface JobHost {
  /** Takes back a job that has not started, and never will there. Tells whether it could. */
  recall(job: Job): boolean
  /** Hands over the answers that the event loop has not delivered yet. */
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
  /** In whose context its end is published. */
  readonly caller: Caller | undefined = callerOfJob()
  /** The point in time after which nobody needs the result. */
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
  /** It is the first on its thread. */
  running = false
  /** Why it was stopped, after it has settled. */
  reason: unknown
  /** Where it has been posted, and under which ticket. */
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
  /** Takes the abort listener off the caller's signal. */
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
