import type { EventEmitter } from 'node:events'
import { type Clock, notify } from '@spillway/kit'
import { causeOf } from './cause.js'
import { Deferred } from './deferred.js'
import { type StartError, SupervisorClosedError, startError } from './errors.js'
import {
  channels,
  type DrainResult,
  type ExitInfo,
  type HangInfo,
  type ReloadResult,
  type RestartCause,
  type SupervisorEvents,
} from './events.js'
import { isConnector } from './handover.js'
import { Handovers } from './handovers.js'
import { type ListeningAddress, listeningInfo } from './listening.js'
import { Logs } from './logs.js'
import { recycleReason } from './marks.js'
import { fromWorker, type Load, type RemoteError } from './messages.js'
import { Nursery } from './nursery.js'
import { LOG_DEFAULTS, type ResolvedSupervisorOptions } from './options.js'
import { plan } from './plan.js'
import { Pulse } from './pulse.js'
import { Restarts } from './restarts.js'
import { Roll } from './roll.js'
import { Tally } from './tally.js'
import { Vacancies } from './vacancies.js'
import type { LeaveReason, WorkerProcess } from './worker-process.js'

/** After its drain deadline a worker has so long to say what it lost, before it is killed. Milliseconds. */
const LAST_WORDS = 1_000

export type FleetPhase = 'idle' | 'starting' | 'running' | 'stopping' | 'stopped'

/**
 * The workers, and the one loop that turns what is into what is wanted: {@link plan} decides, this class does. Every
 * event (a worker is ready, silent, over a mark, gone; a call to reload or scale) ends in `#reconcile()`.
 */
export class Fleet {
  readonly tally = new Tally()
  readonly workers = new Map<number, WorkerProcess>()
  /** `undefined` when the workers write for themselves. */
  readonly logs: Logs | undefined
  readonly listening = new Map<string, number | undefined>()
  phase: FleetPhase = 'idle'
  target: number
  readonly #options: ResolvedSupervisorOptions
  readonly #events: EventEmitter<SupervisorEvents>
  readonly #clock: Clock
  readonly #restarts: Restarts
  readonly #nursery: Nursery
  readonly #handovers = new Handovers()
  readonly #vacancies = new Vacancies()
  readonly #start = new Deferred<void>()
  readonly #stop = new Deferred<DrainResult>()
  readonly #waiting: Deferred<void>[] = []
  #failure: StartError | undefined
  #roll: Roll | undefined
  #nextRoll: Roll | undefined
  #wakeUp: NodeJS.Timeout | undefined
  #pulse: Pulse | undefined

  constructor(options: ResolvedSupervisorOptions, target: number, events: EventEmitter<SupervisorEvents>) {
    this.#options = options
    this.#events = events
    this.#clock = options.clock
    this.target = target
    this.#nursery = new Nursery(options, {
      hear: (worker, message, given) => this.#hear(worker, message, given),
      listens: (address) => this.listens(address),
      becomeReady: (worker) => this.#becomeReady(worker),
      gone: (worker, code, signal) => this.#gone(worker, code, signal),
    })
    const { logs, name } = options
    this.logs = logs === false ? undefined : new Logs(name, logs === true ? LOG_DEFAULTS : logs)
    const { max } = options.restarts
    const most = max === 'auto' ? Math.max(10, 2 * target) : max
    this.#restarts = new Restarts({ ...options.restarts, max: most }, this.#clock)
  }

  get generation(): number {
    return this.#nursery.generation
  }

  get degraded(): boolean {
    return this.#restarts.degraded
  }

  get ready(): number {
    return [...this.workers.values()].filter(({ state }) => state === 'ready').length
  }

  /** The first generation. Rejects, with nobody left behind, when one of it fails. */
  start(): Promise<void> {
    if (this.phase === 'idle') {
      this.phase = 'starting'
      this.#nursery.nextGeneration()
      const { heartbeat } = this.#options
      if (heartbeat !== false) {
        const workers = () => this.workers.values()
        this.#pulse = new Pulse(heartbeat, this.#clock, workers, (hang) => this.#onHang(hang))
      }
      this.#reconcile()
    }
    return this.#start.promise
  }

  /** One after the other; calls that come while one waits get the same result. */
  reload(): Promise<ReloadResult> {
    if (this.phase === 'stopping' || this.phase === 'stopped')
      return Promise.reject(new SupervisorClosedError())
    const roll = (this.#nextRoll ??= new Roll())
    if (this.phase === 'running') this.#beginRoll()
    return roll.promise
  }

  scale(target: number, by: 'call' | 'load'): void {
    if (this.phase === 'stopping' || this.phase === 'stopped') throw new SupervisorClosedError()
    if (target === this.target) return
    const change = { from: this.target, to: target, by }
    this.target = target
    notify(this.#events, 'scale', change)
    channels.scale.publish(() => change)
    this.#reconcile()
  }

  /** Resolves when as many are ready as are wanted, and no more. */
  settled(): Promise<void> {
    const waiting = new Deferred<void>()
    this.#waiting.push(waiting)
    this.#reconcile()
    return waiting.promise
  }

  /** Everybody leaves; `delay` is the time in which readiness already says no. */
  drain(delay: number): Promise<DrainResult> {
    if (this.phase !== 'stopping' && this.phase !== 'stopped') {
      this.phase = 'stopping'
      const closed = new SupervisorClosedError()
      this.#nextRoll?.cancel(closed)
      this.#nextRoll = undefined
      if (this.#roll !== undefined) this.#roll.error ??= closed
      for (const worker of this.workers.values()) this.#leave(worker, 'stop', delay)
      this.#settle(this.#clock.now())
    }
    return this.#stop.promise
  }

  /** No more waiting. */
  kill(): void {
    for (const worker of this.workers.values()) worker.kill('force')
  }

  /** Replaces one worker; the replacement comes first. Ignored for one that is about to leave anyway. */
  replace(worker: WorkerProcess, reason: LeaveReason): void {
    if (worker.outdated !== undefined || worker.over || worker.state === 'draining') return
    worker.outdated = reason
    this.#reconcile()
  }

  /** Tells every worker to read its certificates again. */
  reloadTls(): void {
    for (const worker of this.workers.values()) worker.send({ type: 'tls' })
  }

  #reconcile(): void {
    const now = this.#clock.now()
    const current = this.#living().filter(({ outdated }) => outdated === undefined).length
    const held = this.#vacancies.held(now, this.target - current)
    const { fork: forks, drain } = plan({
      workers: [...this.workers.values()].map(({ id, state, outdated }) => ({
        id,
        state,
        outdated: outdated !== undefined,
      })),
      target: this.target,
      surge: this.#options.surge,
      held,
      stopping: this.phase === 'stopping',
    })
    for (const id of drain) {
      const worker = this.workers.get(id)
      if (worker !== undefined) this.#leave(worker, worker.outdated ?? 'scale', 0)
    }
    for (let i = 0; i < forks; i++) this.#fork(now)
    this.#sleepUntil(this.#vacancies.next(now), now)
    if (this.#restarts.recovered()) notify(this.#events, 'recovered')
    this.#settle(now)
  }

  /** Ends whatever has come to its end: the start, a roll, the fleet. */
  #settle(now: number): void {
    if (this.phase === 'starting' && this.ready >= this.target) {
      this.phase = 'running'
      this.#start.resolve()
    }
    const leftOver = [...this.workers.values()].some(
      (worker) =>
        worker.outdated === 'reload' || worker.leaving === 'reload' || worker.leaving === 'rollback',
    )
    const rolled = this.phase !== 'running' || this.ready >= this.target || this.#roll?.error !== undefined
    if (this.#roll !== undefined && !leftOver && rolled) {
      const result = this.#roll.finish(now)
      this.#roll = undefined
      if (result.ok) this.tally.reloads.ok++
      else this.tally.reloads.refused++
      notify(this.#events, 'reload', result)
      channels.reload.publish(() => ({ ...result, error: undefined }))
    }
    if (this.phase === 'running') this.#beginRoll()
    if (this.ready === this.target && this.#living().length === this.target) {
      for (const waiting of this.#waiting.splice(0)) waiting.resolve()
    }
    if (this.phase === 'stopping' && this.workers.size === 0) this.#finish()
  }

  #finish(): void {
    this.phase = 'stopped'
    clearTimeout(this.#wakeUp)
    this.#pulse?.stop()
    this.#handovers.close()
    const closed = new SupervisorClosedError()
    this.#start.reject(this.#failure ?? closed)
    for (const waiting of this.#waiting.splice(0)) waiting.reject(closed)
    this.#stop.resolve(this.tally.drains)
  }

  #beginRoll(): void {
    if (this.#roll !== undefined || this.#nextRoll === undefined) return
    this.#roll = this.#nextRoll
    this.#nextRoll = undefined
    // New code may have cured what the old one died of.
    this.#vacancies.clear()
    this.#restarts.reset()
    try {
      this.#nursery.nextGeneration()
      for (const worker of this.#living()) worker.outdated = 'reload'
    } catch (error) {
      this.#roll.error = error as Error
    }
    this.#roll.begin(this.generation, this.#clock.now())
    this.#reconcile()
  }

  /** The new version is no good: those of it that are not ready go, the old ones stay. */
  #abortRoll(error: Error): void {
    if (this.#roll === undefined || this.#roll.error !== undefined) return
    this.#roll.error = error
    this.#nursery.revert()
    for (const worker of this.#living()) {
      if (worker.outdated === 'reload') worker.outdated = undefined
      else if (worker.state === 'starting' && worker.generation === this.generation)
        worker.outdated = 'rollback'
    }
  }

  #fork(now: number): void {
    const place = this.#vacancies.take(now) ?? { slot: this.#freeSlot(), streak: 0 }
    const worker = this.#nursery.bear(place, this.target, now)
    this.workers.set(worker.id, worker)
    this.tally.forks++
    this.logs?.take(worker)
    notify(this.#events, 'fork', worker.info)
    channels.fork.publish(() => worker.info)
  }

  #hear(worker: WorkerProcess, raw: unknown, given: unknown): void {
    const message = fromWorker(raw)
    if (message === undefined) return
    const now = this.#clock.now()
    worker.heardAt = now
    const recovered = worker.apply('beat', now)
    if (message.type === 'serving') worker.saysReady = true
    else if (message.type === 'ready') this.#becomeReady(worker, message)
    else if (message.type === 'load') this.#weigh(worker, message, now)
    else if (message.type === 'replace') this.replace(worker, message.reason)
    else if (message.type === 'failed') this.#confess(worker, message.error)
    else if (message.type === 'handover') {
      if (isConnector(given)) this.#handovers.place(this.workers.values(), given, message.place)
    } else if (message.type === 'drained') {
      worker.lost = message.lost
      worker.send({ type: 'bye' })
    }
    if (recovered) this.#reconcile()
  }

  /** Somebody of us listens there. */
  listens(at: ListeningAddress): void {
    const { address, port } = listeningInfo(at)
    if (this.listening.has(address)) return
    this.listening.set(address, port)
    notify(this.#events, 'listening', { address, port })
  }

  #becomeReady(worker: WorkerProcess, { index, port }: { index?: number; port?: number } = {}): void {
    if (index !== undefined && port !== undefined) this.#nursery.ports[index] = port
    const now = this.#clock.now()
    worker.heardAt = now
    if (!worker.apply('ready', now)) return
    this.#handovers.welcome(worker)
    notify(this.#events, 'ready', worker.info)
    channels.ready.publish(() => ({ ...worker.info, milliseconds: now - worker.startedAt }))
    this.#reconcile()
  }

  #weigh(worker: WorkerProcess, load: Load, now: number): void {
    worker.load = load
    if (worker.state !== 'ready') return
    const reason = recycleReason(worker, load, this.#options, now)
    if (reason !== undefined) this.replace(worker, reason)
  }

  /** A worker has met an error it must not survive. It drains by itself; its place is refilled now. */
  #confess(worker: WorkerProcess, error: RemoteError): void {
    worker.error = error
    if (worker.state !== 'ready' && worker.state !== 'suspect') return
    worker.leaving = 'crash'
    this.#crashed(worker, 'crash')
    worker.apply('drain', this.#clock.now())
    worker.after(this.#options.drain.timeout + LAST_WORDS, () => worker.kill('deadline'))
    this.#reconcile()
  }

  /** Tells a worker to leave, and sees to it that it does. */
  #leave(worker: WorkerProcess, reason: LeaveReason, delay: number): void {
    const starting = worker.state === 'starting'
    if (!worker.apply('drain', this.#clock.now())) return
    worker.leaving = reason
    const { timeout } = this.#options.drain
    const drain = { type: 'drain', reason: reason === 'stop' ? 'stop' : 'replace', delay, timeout } as const
    // One that is still starting has nothing to finish; it may not even listen to us yet.
    if (starting) worker.kill('start')
    else if (!worker.send(drain)) worker.kill('deadline')
    else worker.after(delay + timeout + LAST_WORDS, () => worker.kill('deadline'))
  }

  #gone(worker: WorkerProcess, code: number | null, signal: NodeJS.Signals | null): void {
    const now = this.#clock.now()
    const before = worker.state
    if (!worker.apply('exit', now)) return
    worker.clearTimers()
    this.workers.delete(worker.id)
    const cause =
      worker.state === 'failed' || worker.leaving === 'crash'
        ? causeOf(worker, before, code, signal)
        : undefined
    const exit: ExitInfo = { ...worker.info, code, signal, cause, error: worker.error, lost: worker.lost }
    this.tally.exited(worker, exit, now)
    notify(this.#events, 'exit', exit)
    channels.exit.publish(() => ({ ...exit, error: undefined }))
    if (this.#roll !== undefined && worker.leaving === 'reload') {
      this.#roll.replaced++
      if (worker.killed !== undefined) this.#roll.forced++
    }
    if (before !== 'draining') this.#failed(worker, exit)
    this.#reconcile()
  }

  /** A worker has ended that nobody had told to. */
  #failed(worker: WorkerProcess, exit: ExitInfo): void {
    if (this.phase === 'stopping') return
    if (this.phase === 'starting') {
      this.#failure ??= startError(worker, exit)
      void this.drain(0)
      return
    }
    this.#crashed(worker, exit.cause ?? 'exit', exit)
  }

  #crashed(worker: WorkerProcess, cause: RestartCause, exit?: ExitInfo): void {
    const now = this.#clock.now()
    const rolledIn = this.#roll !== undefined && worker.generation === this.#roll.generation
    // A kill from outside says nothing about the new version.
    if (rolledIn && cause !== 'killed') {
      this.#abortRoll(
        startError(
          worker,
          exit ?? { ...worker.info, code: null, signal: null, cause, error: worker.error, lost: 0 },
        ),
      )
      if (worker.readyAt === undefined) return
    }
    const { delay, streak, degraded } = this.#restarts.crashed(now - (worker.readyAt ?? now), worker.streak)
    this.#vacancies.add({ slot: worker.slot, streak, at: now + delay })
    if (!degraded) return
    const { within } = this.#options.restarts
    notify(this.#events, 'degraded', { within, worker: worker.info, error: worker.error })
    channels.degraded.publish(() => ({ ...worker.info, within }))
  }

  #living(): WorkerProcess[] {
    return [...this.workers.values()].filter(({ state }) => state !== 'draining')
  }

  /** The lowest place that nobody holds; a replacement gets the place of the one it replaces. */
  #freeSlot(): number {
    const living = this.#living()
    const taken = new Set(living.filter(({ outdated }) => outdated === undefined).map(({ slot }) => slot))
    let slot = 1
    while (taken.has(slot)) slot++
    return slot
  }

  #sleepUntil(at: number | undefined, now: number): void {
    clearTimeout(this.#wakeUp)
    if (at === undefined) return
    // Not unref'ed: with every worker down, this timer alone keeps the supervisor at work.
    this.#wakeUp = setTimeout(() => this.#reconcile(), Math.max(1, Math.ceil(at - now)))
  }

  #onHang(hang: HangInfo): void {
    notify(this.#events, 'hang', hang)
    channels.hang.publish(() => hang)
  }
}
