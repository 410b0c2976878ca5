import {
  MessageChannel,
  type MessagePort,
  type ResourceLimits,
  receiveMessageOnPort,
  type Transferable,
  type Worker,
} from 'node:worker_threads'
import type { Deadline } from '@spillway/kit'
import { Piscina } from 'piscina'
import type { Job, JobHost } from '../jobs/job.js'
import type { TaskDefinition } from '../jobs/task-definition.js'
import { compact } from '../wire/binary.js'
import { CLAIMS, Claims, distance, ticketAfter } from '../wire/claims.js'
import type { Failure } from '../wire/failure.js'
import type { Boot, Cancel, FromThread, Request } from '../wire/protocol.js'
import { workerFile } from './worker-file.js'

/** How much expected work, in milliseconds, is posted to a thread before the thread is through with it. */
const AHEAD_MS = 2

export interface ThreadSettings {
  /** Bytes outside the heap; 0 for no limit. */
  readonly memory: number
  readonly restore: string | undefined
  readonly resourceLimits: ResourceLimits | undefined
  readonly execArgv: readonly string[] | undefined
  readonly env: NodeJS.ProcessEnv | undefined
  /** Tasks after which it is replaced; `Infinity` for never. */
  readonly recycleAfter: number
}

/** How a thread was lost: its uncaught error, if any, and its exit code. */
export interface ThreadLoss {
  readonly error: unknown
  readonly exitCode: number
  /** The call that caused it, if known: the running one, or an earlier one that left a timer, promise or socket behind. */
  readonly culprit: { readonly ticket: number; readonly task: TaskDefinition | undefined } | undefined
}

export interface ThreadListener {
  onReady(thread: Thread): void
  onMessage(thread: Thread, message: FromThread): void
  /** It has an uncaught error, and is about to end. */
  onFailing(thread: Thread): void
  onGone(thread: Thread, loss: ThreadLoss): void
}

/** `stopping`: its task is cancelled and has its grace. `ending`: terminated, but not gone yet. */
export type ThreadState = 'booting' | 'idle' | 'busy' | 'stopping' | 'ending' | 'gone'

/**
 * One worker thread, which runs one task at a time. It is the only thread of a piscina of its own, which starts and ends it:
 * so a fault stays with this thread, and both are thrown away together. Tasks do not pass through piscina's queue, but over a
 * message port.
 */
export class Thread implements Deadline, JobHost {
  readonly id: number
  readonly #piscina: Piscina
  readonly #worker: Worker
  readonly #control: MessagePort
  readonly #claims = new Claims()
  readonly #listener: ThreadListener
  readonly #recycleAfter: number
  /** The tasks that were sent to it, by their numbers, but for inline ones. */
  readonly #posted = new Map<number, TaskDefinition>()
  #fault: unknown
  #lastTicket = 0

  state: ThreadState = 'booting'
  /** Posted jobs without an answer yet: the first one runs, or is about to; the others follow. */
  readonly jobs: Job[] = []
  /** It has started and can run tasks. */
  booted = false
  /** The tasks whose functions it has loaded. */
  readonly known = new WeakSet<TaskDefinition>()
  /** Tasks that were posted to it. */
  served = 0
  /** It was terminated and does not end: it is in native code. */
  stuck = false
  /** Why it is to be replaced as soon as it is idle. */
  retireFor: string | undefined

  // Its one deadline: of its boot, its idle time, the grace of a task, its termination, or the jobs posted ahead.
  dueAt = Number.POSITIVE_INFINITY
  heapIndex = -1
  onDue: () => void = nothing

  /** @throws what `new Worker` throws, such as a bad `execArgv` */
  constructor(settings: ThreadSettings, listener: ThreadListener) {
    this.#listener = listener
    this.#recycleAfter = settings.recycleAfter
    this.#piscina = new Piscina({
      filename: workerFile(),
      name: 'handle',
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      // A thread that sleeps in Atomics.wait would not read the port, and would run no timer, socket or inspector.
      atomics: 'disabled',
      recordTiming: false,
      ...(settings.resourceLimits && { resourceLimits: settings.resourceLimits }),
      ...(settings.execArgv && { execArgv: [...settings.execArgv] }),
      ...(settings.env && { env: settings.env }),
    })
    // Piscina emits 'error' for a fault between tasks; the events of the worker, below, carry the same error.
    this.#piscina.on('error', nothing)
    const { port1, port2 } = new MessageChannel()
    const boot: Boot = {
      control: port2,
      cells: this.#claims.cells,
      memory: settings.memory,
      restore: settings.restore,
    }
    const booted = this.#piscina.run(boot, { transferList: [port2] })
    this.#control = port1
    port1.on('message', (message: FromThread) => listener.onMessage(this, message))
    port1.once('messageerror', (error) => this.#onFault(error))
    port1.unref()
    this.#worker = this.#piscina.threads[0]!
    this.id = this.#worker.threadId
    this.#worker.once('error', (error) => this.#onFault(error))
    this.#worker.once('exit', (exitCode) => this.#onExit(exitCode))
    booted.then(
      () => this.#onBooted(),
      (error) => this.#onBootFailed(error),
    )
  }

  /** The job that runs, or is about to. */
  get job(): Job | undefined {
    return this.jobs[0]
  }

  /** Jobs that are posted behind the running one. */
  get postedAhead(): number {
    return Math.max(0, this.jobs.length - 1)
  }

  /**
   * Whether a job may be posted while another one runs: a short one behind short ones, whose input could be posted again
   * to another thread.
   */
  canPostAhead({ task, transfer }: Job): boolean {
    const first = this.jobs[0]
    if (first === undefined || this.state !== 'busy' || this.served >= this.#recycleAfter) return false
    if (transfer !== undefined || !task.lane.unlimited || !this.known.has(task)) return false
    if (distance(ticketAfter(this.#lastTicket), first.ticket) >= CLAIMS) return false
    let work = expected(task)
    for (const job of this.jobs) work += expected(job.task)
    return work <= AHEAD_MS
  }

  /** Posts a job, which runs after the jobs before it. Throws what `postMessage` throws. */
  post(job: Job): void {
    const ticket = ticketAfter(this.#lastTicket)
    this.#claims.offer(ticket)
    this.#control.postMessage(this.#request(job, ticket), job.transfer as Transferable[] & object[])
    if (this.jobs.length === 0) this.#worker.ref()
    this.#lastTicket = ticket
    this.served++
    job.ticket = ticket
    job.host = this
    this.jobs.push(job)
  }

  /** Takes back a job that has not started; false when the thread has started it. */
  recall(job: Job): boolean {
    if (!this.#claims.take(job.ticket)) return false
    job.host = undefined
    this.finish(job)
    return true
  }

  /** Removes a job: it was answered, or never will be. */
  finish(job: Job): void {
    if (job === this.jobs[0]) this.jobs.shift()
    else this.jobs.splice(this.jobs.indexOf(job), 1)
    if (this.jobs.length === 0) this.#worker.unref()
  }

  /** Tells the task that it is cancelled: in shared memory for busy code, by message for waiting code. */
  cancel(ticket: number, reason: Failure): void {
    this.#claims.cancel(ticket)
    this.#control.postMessage({ cancel: ticket, reason } satisfies Cancel)
  }

  /** Delivers the messages that the thread has posted and the event loop has not delivered yet. */
  drain(): void {
    for (
      let entry = receiveMessageOnPort(this.#control);
      entry;
      entry = receiveMessageOnPort(this.#control)
    ) {
      this.#listener.onMessage(this, entry.message as FromThread)
    }
  }

  /** Ends the thread, whatever it does. `onGone` follows when it has. */
  terminate(): void {
    if (this.state === 'gone') return
    this.state = 'ending'
    this.#piscina.destroy().catch(nothing)
  }

  /** Lets the process end although this thread, which has jobs, does not. */
  unref(): void {
    this.#worker.unref()
  }

  #request({ task, input, transfer, carried }: Job, ticket: number): Request {
    const request: { -readonly [Name in keyof Request]: Request[Name] } = {
      ticket,
      task: task.id,
      input: transfer === undefined ? compact(input) : input,
    }
    if (task.module !== undefined && !this.known.has(task)) {
      this.#posted.set(task.id, task)
      request.origin = { module: task.module.href, name: task.name, loader: task.module.loader }
    }
    if (carried !== undefined) request.carried = carried
    return request
  }

  #onBooted(): void {
    if (this.state !== 'booting') return
    this.booted = true
    this.#listener.onReady(this)
  }

  #onFault(error: unknown): void {
    this.#fault ??= error
    this.#listener.onFailing(this)
  }

  #onBootFailed(error: unknown): void {
    this.#fault ??= error
    this.terminate()
  }

  #onExit(exitCode: number): void {
    if (this.state === 'gone') return
    // Answers that it posted before it ended are valid.
    this.drain()
    this.state = 'gone'
    this.#control.close()
    this.#listener.onGone(this, { error: this.#fault, exitCode, culprit: this.#culprit() })
  }

  #culprit(): ThreadLoss['culprit'] {
    const blamed = this.#claims.blamed
    if (blamed === undefined) return undefined
    const task =
      this.jobs.find(({ ticket }) => ticket === blamed.ticket)?.task ?? this.#posted.get(blamed.task)
    return { ticket: blamed.ticket, task }
  }
}

function expected({ runs }: TaskDefinition): number {
  return runs.meanRun ?? Number.POSITIVE_INFINITY
}

function nothing(): void {}
