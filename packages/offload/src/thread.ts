import {
  MessageChannel,
  type MessagePort,
  type ResourceLimits,
  receiveMessageOnPort,
  type Transferable,
  type Worker,
} from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { Deadline } from './deadlines.js'
import type { TaskDefinition } from './definition.js'
import type { Failure } from './failure.js'
import type { Job } from './job.js'
import type { Boot, FromThread, Request } from './protocol.js'
import { workerFile } from './worker-file.js'

export interface ThreadSettings {
  /** Bytes outside the heap; 0 for no limit. */
  readonly memory: number
  readonly restore: string | undefined
  readonly resourceLimits: ResourceLimits | undefined
  readonly execArgv: readonly string[] | undefined
  readonly env: NodeJS.ProcessEnv | undefined
}

/** What ended a thread: the error it died of, if any, and its exit code. */
export interface Loss {
  readonly error: unknown
  readonly exitCode: number
}

export interface ThreadListener {
  onReady(thread: Thread): void
  onMessage(thread: Thread, message: FromThread): void
  /** It has died of an error, and is about to go. */
  onFailing(thread: Thread): void
  onGone(thread: Thread, loss: Loss): void
}

/** `stopping`: its task is cancelled and has its grace. `ending`: terminated, but not gone yet. */
export type ThreadState = 'booting' | 'idle' | 'busy' | 'stopping' | 'ending' | 'gone'

/**
 * One thread that runs one task at a time: a piscina of exactly one. Piscina settles, retries and remembers failures
 * for a pool as a whole; with a pool per thread, everything that goes wrong stays with this thread and this task, and
 * a failed thread is thrown away together with its piscina.
 */
export class Thread implements Deadline {
  readonly id: number
  readonly #piscina: Piscina
  readonly #worker: Worker
  readonly #control: MessagePort
  readonly #cancelled = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  readonly #listener: ThreadListener
  #fault: unknown
  #posted: unknown

  state: ThreadState = 'booting'
  job: Job | undefined
  /** It has started and could work. */
  booted = false
  /** The tasks whose functions it has loaded. */
  readonly known = new Set<TaskDefinition>()
  /** Tasks it has taken. */
  served = 0
  /** It does not end although it was terminated: it sits in native code. */
  stuck = false
  /** Why it is to be replaced as soon as it is idle. */
  retireFor: string | undefined

  // Its one deadline: the boot, the idle end, the grace, or the termination, by its state.
  dueAt = Number.POSITIVE_INFINITY
  heapIndex = -1
  onDue: () => void = nothing

  /** @throws what `new Worker` throws, such as a bad `execArgv` */
  constructor(settings: ThreadSettings, listener: ThreadListener) {
    this.#listener = listener
    this.#piscina = new Piscina({
      filename: workerFile(),
      name: 'handle',
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      // A thread that sleeps in Atomics.wait runs no timers, no sockets and no inspector between tasks.
      atomics: 'disabled',
      recordTiming: false,
      ...(settings.resourceLimits && { resourceLimits: settings.resourceLimits }),
      ...(settings.execArgv && { execArgv: [...settings.execArgv] }),
      ...(settings.env && { env: settings.env }),
    })
    // Piscina emits a bare 'error' for a fault between tasks; the worker's own events tell us all there is.
    this.#piscina.on('error', nothing)
    const { port1, port2 } = new MessageChannel()
    const boot: Boot = {
      boot: true,
      control: port2,
      cancelled: this.#cancelled,
      memory: settings.memory,
      restore: settings.restore,
    }
    const booted = this.#piscina.run(boot, { transferList: [port2] })
    this.#control = port1
    port1.on('message', (message: FromThread) => this.#receive(message))
    port1.unref()
    this.#worker = this.#piscina.threads[0]!
    this.id = this.#worker.threadId
    this.#worker.once('error', (error) => {
      this.#fault = error
      listener.onFailing(this)
    })
    this.#worker.once('exit', (exitCode) => this.#onExit(exitCode))
    booted.then(
      () => this.#onBooted(),
      (error) => this.#onBootFailed(error),
    )
  }

  /** It has failed and is about to go: `onGone` will tell. */
  get failing(): boolean {
    return this.#fault !== undefined || this.state === 'ending' || this.state === 'gone'
  }

  /** Runs a request. Rejects with a plain `Failure`, or with what `postMessage` or the thread's end throws. */
  run(request: Request, transfer: readonly Transferable[] | undefined): Promise<unknown> {
    this.served++
    return transfer === undefined
      ? this.#piscina.run(request)
      : this.#piscina.run(request, { transferList: transfer as Transferable[] & object[] })
  }

  /** Hands over what the thread has posted so far, in order. */
  drain(): void {
    for (
      let entry = receiveMessageOnPort(this.#control);
      entry;
      entry = receiveMessageOnPort(this.#control)
    ) {
      this.#receive(entry.message as FromThread)
    }
  }

  /** The structured result that the task has posted. */
  takePosted(): unknown {
    this.drain()
    const posted = this.#posted
    this.#posted = undefined
    return posted
  }

  /** Tells the task that it is cancelled: in shared memory for busy code, by message for waiting code. */
  cancel(jobId: number, reason: Failure): void {
    Atomics.store(this.#cancelled, 0, jobId)
    this.#control.postMessage({ cancel: jobId, reason })
  }

  /** Ends the thread, whatever it does. `onGone` follows when it has. */
  terminate(): void {
    if (this.state === 'gone') return
    this.state = 'ending'
    this.#piscina.destroy().catch(nothing)
  }

  /** Lets the process end although this thread does not. */
  unref(): void {
    this.#worker.unref()
  }

  #receive(message: FromThread): void {
    if ('result' in message) this.#posted = message.result
    else this.#listener.onMessage(this, message)
  }

  #onBooted(): void {
    if (this.state !== 'booting') return
    this.booted = true
    this.#listener.onReady(this)
  }

  #onBootFailed(error: unknown): void {
    this.#fault ??= error
    this.terminate()
  }

  #onExit(exitCode: number): void {
    if (this.state === 'gone') return
    this.state = 'gone'
    this.#control.close()
    this.#listener.onGone(this, { error: this.#fault, exitCode })
  }
}

function nothing(): void {}
