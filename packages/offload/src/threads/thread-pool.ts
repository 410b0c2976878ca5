import type { DeadlineHeap } from '@spillway/kit'
import { type Clock, channel } from '@spillway/kit'
import type { Job } from '../jobs/job.js'
import { describe } from '../wire/failure.js'
import type { FromThread } from '../wire/protocol.js'
import { SpawnLimiter } from './spawn-limiter.js'
import { Thread, type ThreadListener, type ThreadLoss, type ThreadSettings } from './thread.js'

/** A terminated thread that has not ended after this long is in native code. Milliseconds. */
const STUCK_AFTER_MS = 2_000

export interface ThreadPoolSettings extends ThreadSettings {
  readonly max: number
  readonly min: number
  readonly idle: number
  readonly grace: number
  readonly bootTimeout: number
  readonly respawn: { readonly burst: number; readonly perMinute: number } | false
  readonly clock: Clock
}

/** Listener of a {@link ThreadPool}. */
export interface ThreadPoolListener {
  /** A thread may be idle now, or may be started. */
  onAvailable(): void
  onMessage(thread: Thread, message: FromThread): void
  /** A thread that had booted has ended, with the jobs it had, if any. */
  onLost(thread: Thread, loss: ThreadLoss): void
  /** A thread failed to start, and there is no other thread. */
  onBroken(error: unknown): void
}

const threadChannel = channel<{
  event: 'started' | 'ended' | 'stuck'
  thread: number
  reason: string
  threads: number
}>('spillway:offload:thread')

/** Pool of threads: starts them on demand, reuses warm ones, ends idle ones, and never has more than `max`. */
export class ThreadPool implements ThreadListener {
  readonly #settings: ThreadPoolSettings
  readonly #deadlines: DeadlineHeap
  #listener!: ThreadPoolListener
  readonly #limiter: SpawnLimiter
  readonly #threads = new Set<Thread>()
  /** A stack: the thread used last is taken first, so that surplus threads stay idle and end. */
  readonly #idle: Thread[] = []
  #booting = 0
  #retry: NodeJS.Timeout | undefined
  #closed = false
  #onEmpty: (() => void) | undefined
  readonly #onBooted: (() => void)[] = []
  started = 0
  recycled = 0

  constructor(settings: ThreadPoolSettings, deadlines: DeadlineHeap) {
    this.#settings = settings
    this.#deadlines = deadlines
    this.#limiter = new SpawnLimiter(settings.clock, settings.respawn)
  }

  /** Sets the listener. Call it once, before the first thread starts. */
  listen(listener: ThreadPoolListener): void {
    this.#listener = listener
  }

  get size(): number {
    return this.#threads.size
  }

  get idle(): number {
    return this.#idle.length
  }

  get booting(): number {
    return this.#booting
  }

  get stuck(): number {
    let count = 0
    for (const thread of this.#threads) if (thread.stuck) count++
    return count
  }

  /** The error for which no thread starts at the moment; `undefined` when threads start, or there are some. */
  get bootFailure(): unknown {
    return this.#threads.size === 0 && this.#limiter.broken ? this.#limiter.failure : undefined
  }

  /** Milliseconds until a start may be tried again. */
  get brokenFor(): number {
    return this.#limiter.delay()
  }

  [Symbol.iterator](): IterableIterator<Thread> {
    return this.#threads.values()
  }

  /** The thread that a job has been posted to; `undefined` while it waits in the queue. */
  threadOf({ host }: Job): Thread | undefined {
    if (host === undefined) return undefined
    for (const thread of this.#threads) if (thread === host) return thread
    return undefined
  }

  /** Jobs that are posted to threads behind a running job. */
  get postedAhead(): number {
    let count = 0
    for (const thread of this.#threads) count += thread.postedAhead
    return count
  }

  /** Resolves when no thread is starting. */
  booted(): Promise<void> {
    if (this.#booting === 0) return Promise.resolve()
    return new Promise((resolve) => this.#onBooted.push(resolve))
  }

  /** An idle thread, marked busy. */
  take(): Thread | undefined {
    const thread = this.#idle.pop()
    if (thread === undefined) return undefined
    this.#deadlines.remove(thread)
    thread.state = 'busy'
    return thread
  }

  /** The busy thread with the fewest jobs that a job may be posted ahead to. */
  threadToPostTo(job: Job): Thread | undefined {
    let taker: Thread | undefined
    for (const thread of this.#threads) {
      if (taker !== undefined && taker.postedAhead <= thread.postedAhead) continue
      if (thread.canPostAhead(job)) taker = thread
    }
    return taker
  }

  /** Takes back a thread without jobs: it idles, or is recycled. */
  release(thread: Thread): void {
    if (thread.state === 'ending' || thread.state === 'gone') return
    this.#deadlines.remove(thread)
    if (thread.served >= this.#settings.recycleAfter) thread.retireFor ??= 'tasks'
    if (thread.retireFor !== undefined) {
      this.recycled++
      this.end(thread, thread.retireFor)
    } else this.#park(thread)
  }

  /** Starts threads for `waiting` jobs, as far as `max` and the spawn limiter allow. */
  growFor(waiting: number): void {
    this.growTo(this.#threads.size - this.#booting + waiting)
  }

  /** Starts threads until there are `size`, as far as `max` and the spawn limiter allow. */
  growTo(size: number): void {
    while (!this.#closed && this.#threads.size < Math.min(size, this.#settings.max)) {
      const delay = this.#limiter.delay()
      if (delay > 0) {
        this.#retryIn(delay)
        return
      }
      if (!this.#start()) return
    }
  }

  /** Asks the thread's task to end, and terminates the thread when it has not by the end of its grace. */
  stop(thread: Thread, { ticket, task, reason }: Job): void {
    if (thread.state !== 'busy') return
    thread.state = 'stopping'
    thread.cancel(ticket, describe(reason))
    if (task.rules.terminable) this.after(thread, this.#settings.grace, () => this.#outOfGrace(thread))
  }

  /** The task that was asked to end has ended; the thread runs its next job. */
  resume(thread: Thread): void {
    if (thread.state !== 'stopping') return
    thread.state = 'busy'
    this.#deadlines.remove(thread)
  }

  /** Sets the thread's one deadline. */
  after(thread: Thread, milliseconds: number, onDue: () => void): void {
    this.#deadlines.remove(thread)
    if (milliseconds === Number.POSITIVE_INFINITY) return
    thread.dueAt = this.#settings.clock.now() + milliseconds
    thread.onDue = onDue
    this.#deadlines.add(thread)
  }

  /** Terminates a thread. It counts until it has ended; then `onLost` follows. */
  end(thread: Thread, reason: string): void {
    if (thread.state === 'ending' || thread.state === 'gone') return
    this.#forgetIdle(thread)
    this.#publish('ended', thread, reason)
    this.after(thread, STUCK_AFTER_MS, () => this.#markStuck(thread, reason))
    thread.terminate()
  }

  /** Terminates all threads and waits until they have ended, two seconds at most. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    for (const thread of this.#threads) {
      if (thread.job?.task.rules.terminable === false) thread.retireFor = 'closed'
      else this.end(thread, 'closed')
    }
    if (this.#threads.size === 0) return
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, STUCK_AFTER_MS)
      this.#onEmpty = () => {
        clearTimeout(limit)
        resolve()
      }
    })
    for (const thread of this.#threads) this.#markStuck(thread, 'closed')
  }

  onReady(thread: Thread): void {
    this.#bootEnded()
    this.#deadlines.remove(thread)
    this.#limiter.succeeded()
    this.#publish('started', thread, 'demand')
    this.#park(thread)
    this.#listener.onAvailable()
  }

  onMessage(thread: Thread, message: FromThread): void {
    this.#listener.onMessage(thread, message)
  }

  /** A thread with an uncaught error gets no more jobs: its piscina would run them in a new thread of its own. */
  onFailing(thread: Thread): void {
    if (thread.booted) this.end(thread, 'crashed')
  }

  onGone(thread: Thread, loss: ThreadLoss): void {
    const { booted } = thread
    this.#threads.delete(thread)
    this.#forgetIdle(thread)
    this.#deadlines.remove(thread)
    if (this.#threads.size === 0) this.#onEmpty?.()
    if (!booted) this.#bootEnded()
    if (booted || this.#closed) this.#listener.onLost(thread, loss)
    else
      this.#bootFailed(
        loss.error ?? new Error(`The thread ended with exit code ${loss.exitCode} while it started`),
      )
    if (this.#closed) return
    this.growTo(this.#settings.min)
    this.#listener.onAvailable()
  }

  #start(): boolean {
    this.#limiter.started()
    let thread: Thread
    try {
      thread = new Thread(this.#settings, this)
    } catch (error) {
      this.#bootFailed(error)
      return false
    }
    this.started++
    this.#booting++
    this.#threads.add(thread)
    this.after(thread, this.#settings.bootTimeout, () => this.end(thread, 'boot'))
    return true
  }

  #bootEnded(): void {
    this.#booting--
    if (this.#booting === 0) for (const resolve of this.#onBooted.splice(0)) resolve()
  }

  #bootFailed(error: unknown): void {
    this.#limiter.failed(error)
    if (this.#threads.size === 0) this.#listener.onBroken(error)
  }

  #park(thread: Thread): void {
    thread.state = 'idle'
    this.#idle.push(thread)
    this.after(thread, this.#settings.idle, () => {
      if (this.#threads.size > this.#settings.min) this.end(thread, 'idle')
    })
  }

  #outOfGrace(thread: Thread): void {
    // When this event loop was blocked, the task may have ended in time.
    thread.drain()
    if (thread.state === 'stopping') this.end(thread, 'cancelled')
  }

  /** The thread is in native code and ends when that returns. The process need not wait for it. */
  #markStuck(thread: Thread, reason: string): void {
    thread.stuck = true
    thread.unref()
    this.#publish('stuck', thread, reason)
  }

  #forgetIdle(thread: Thread): void {
    const index = this.#idle.indexOf(thread)
    if (index !== -1) this.#idle.splice(index, 1)
  }

  /** Tries to start threads again later. This timer keeps the process alive: jobs wait for it. */
  #retryIn(delay: number): void {
    if (this.#retry !== undefined) return
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#listener.onAvailable()
    }, Math.ceil(delay))
  }

  #publish(event: 'started' | 'ended' | 'stuck', thread: Thread, reason: string): void {
    threadChannel.publish(() => ({ event, thread: thread.id, reason, threads: this.#threads.size }))
  }
}
