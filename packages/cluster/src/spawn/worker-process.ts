import type { Worker } from 'node:cluster'
import type { Socket } from 'node:net'
import { MAX_TIMER } from '@spillway/kit'
import type { RemoteError } from '../errors.js'
import type { LeaveReason, WorkerInfo } from '../events.js'
import { type FromSupervisor, type Load, marked } from '../ipc/messages.js'
import { isOver, nextState, type WorkerEvent, type WorkerState } from './worker-state.js'

/** After its drain deadline a worker has so long to say what it lost, before it is killed. Milliseconds. */
export const EXIT_GRACE = 1_000

/** Record of one worker process: its state, load and timers, and the way to send to it. */
export class WorkerProcess {
  readonly id: number
  readonly pid: number
  readonly handle: Worker
  readonly generation: number
  /** A place from 1 to the number of workers, passed on to its replacement. */
  readonly slot: number
  readonly startedAt: number
  /** Crashes in a row of this place before this worker. */
  readonly streak: number
  state: WorkerState = 'starting'
  readyAt: number | undefined
  /** When its last heartbeat or message came. */
  heardAt: number
  load: Load | undefined
  /** Its first report: what the app needs before it has worked. */
  firstLoad: Load | undefined
  /** Why it is to be replaced; `undefined` as long as it is current. */
  outdated: LeaveReason | undefined
  /** Why it was told to leave. */
  leaving: LeaveReason | undefined
  /** Waits for its own `ready`, not for the first port that listens. */
  saysReady: boolean
  /** Where it listens. */
  readonly listening = new Set<string>()
  /** The worker listens, or its `serve()` is ready; `ListenCoverage` judges whether ports are still missing. */
  up = false
  /** Its last own error. */
  error: RemoteError | undefined
  /** Where its event loop hung, by its watchdog. */
  hangStack: string | undefined
  /** Why we killed it. */
  killed: 'hang' | 'deadline' | 'start' | 'force' | 'early' | undefined
  /** The worker has reported that nothing is in flight any more. */
  drained = false
  /** Requests and streams that were cut off when it drained. */
  lost = 0
  /** How many load reports in a row were over a mark. */
  overLimit = 0
  /** Jitter on `maxAge` and `maxRequests`, 0 to 1: so that workers of one age are not replaced all at once. */
  readonly spread = Math.random()
  readonly #timers = new Set<NodeJS.Timeout>()
  #due: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined
  readonly #entered: Partial<Record<WorkerState, number>>

  constructor(
    handle: Worker,
    born: { generation: number; slot: number; streak: number; now: number; saysReady: boolean },
  ) {
    this.handle = handle
    this.id = handle.id
    this.pid = handle.process.pid ?? 0
    this.generation = born.generation
    this.slot = born.slot
    this.streak = born.streak
    this.saysReady = born.saysReady
    this.startedAt = this.heardAt = born.now
    this.#entered = { starting: born.now }
  }

  /** Tells whether the event changed the state. */
  apply(event: WorkerEvent, now: number): boolean {
    const next = nextState(this.state, event)
    if (next === undefined) return false
    this.state = next
    this.#entered[next] ??= now
    if (event === 'ready') this.readyAt = now
    return true
  }

  /** What others may know of it. */
  get info(): WorkerInfo {
    const { id, pid, slot, generation } = this
    return { id, pid, slot, generation }
  }

  /** What the plan needs to know of it. */
  get planned(): { readonly id: number; readonly state: WorkerState; readonly outdated: boolean } {
    const { id, state, outdated } = this
    return { id, state, outdated: outdated !== undefined }
  }

  get over(): boolean {
    return isOver(this.state)
  }

  /** When it first came to a state. */
  entered(state: WorkerState): number | undefined {
    return this.#entered[state]
  }

  /** Sends a message, if the channel is open. Tells whether it was. */
  send(message: FromSupervisor, socket?: Socket): boolean {
    if (!this.handle.isConnected()) return false
    // With a callback, a channel that breaks meanwhile is no 'error' event.
    this.handle.process.send(marked(message), socket, undefined, () => {})
    return true
  }

  /** Tells the worker to leave within `timeout` after `delay` (milliseconds), and kills it when it has not. */
  leave(reason: LeaveReason, now: number, timeout: number, delay = 0): void {
    // The worker has had no connection yet, so it has nothing to finish; it may not even read messages yet.
    const serves = this.state !== 'starting' || this.up || this.listening.size > 0
    if (!this.apply('drain', now)) return
    this.leaving = reason
    const drain = { type: 'drain', reason: reason === 'stop' ? 'stop' : 'replace', delay, timeout } as const
    if (!serves) this.kill('early')
    else if (!this.send(drain)) this.kill('deadline')
    else this.dueWithin(delay + timeout + EXIT_GRACE, now)
  }

  /** Kills the worker when it has not exited in so many milliseconds. A later deadline replaces an earlier one only. */
  dueWithin(milliseconds: number, now: number): void {
    const at = now + milliseconds
    if (this.#due !== undefined && this.#due.at >= at) return
    if (this.#due !== undefined) clearTimeout(this.#due.timer)
    this.#due = { at, timer: this.after(milliseconds, () => this.kill('deadline')) }
  }

  kill(why: NonNullable<WorkerProcess['killed']>): void {
    this.killed ??= why
    this.handle.process.kill('SIGKILL')
  }

  /** Sets a timer that is cleared at the exit of the worker and does not keep the primary alive. */
  after(milliseconds: number, callback: () => void): NodeJS.Timeout {
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer)
        if (!this.over) callback()
      },
      Math.min(milliseconds, MAX_TIMER),
    ).unref()
    this.#timers.add(timer)
    return timer
  }

  clearTimers(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}
