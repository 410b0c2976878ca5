import type { EventEmitter } from 'node:events'
import type { Clock } from '@spillway/kit'
import { forkError, type RemoteError, type StartError, SupervisorClosedError, startError } from '../errors.js'
import type {
  DrainResult,
  ExitInfo,
  FleetPhase,
  HangInfo,
  LeaveReason,
  ReloadResult,
  RestartCause,
  SupervisorEvents,
} from '../events.js'
import { ConnectionRouter } from '../handover/connection-router.js'
import { Deferred } from '../ipc/deferred.js'
import { Logs } from '../logs/logs.js'
import { HeartbeatMonitor } from '../monitoring/heartbeat-monitor.js'
import { LOG_DEFAULTS, type ResolvedSupervisorOptions } from '../options.js'
import { exitInfo } from '../spawn/exit-info.js'
import { EXIT_GRACE, type WorkerProcess } from '../spawn/worker-process.js'
import { WorkerSpawner } from '../spawn/worker-spawner.js'
import { Announcer } from './announcer.js'
import { FleetCounters } from './fleet-counters.js'
import { isPermanent, retryLater } from './fork-retry.js'
import { plan } from './plan.js'
import { Readiness } from './readiness.js'
import { RearmTimer } from './rearm-timer.js'
import { ReloadQueue } from './reload-queue.js'
import { lowestFree, type PendingRestart, RestartQueue } from './restart-queue.js'
import { crashesAllowed, Restarts } from './restarts.js'
import { WorkerMessages } from './worker-messages.js'

/**
 * Control loop of the workers: {@link plan} decides, this class does. Every event (a worker is ready, silent, over a limit,
 * gone; a call to reload or scale) ends in `#reconcile()`.
 */
export class Fleet {
  readonly counters = new FleetCounters()
  readonly workers = new Map<number, WorkerProcess>()
  /** `undefined` when the workers write for themselves. */
  readonly logs: Logs | undefined
  readonly readiness: Readiness
  phase: FleetPhase = 'idle'
  target: number
  readonly #options: ResolvedSupervisorOptions
  readonly #announce: Announcer
  readonly #clock: Clock
  readonly #restarts: Restarts
  readonly #spawner: WorkerSpawner
  readonly #router = new ConnectionRouter()
  readonly #workerMessages: WorkerMessages
  readonly #restartQueue = new RestartQueue()
  readonly #start = new Deferred<void>()
  readonly #stop = new Deferred<DrainResult>()
  readonly #waiting: Deferred<void>[] = []
  readonly #reloads = new ReloadQueue()
  readonly #timer = new RearmTimer(() => this.#reconcile())
  readonly #allWorkers = () => this.workers.values()
  #failure: StartError | undefined
  #heartbeats: HeartbeatMonitor | undefined

  constructor(options: ResolvedSupervisorOptions, target: number, events: EventEmitter<SupervisorEvents>) {
    this.#options = options
    this.#announce = new Announcer(events)
    this.#clock = options.clock
    this.target = target
    this.#spawner = new WorkerSpawner(options, {
      onMessage: (worker, message, given) => this.#workerMessages.onMessage(worker, message, given),
      onListening: (worker, address) => this.readiness.onListening(worker, address),
      onStartTimeout: (worker) => this.readiness.onStartTimeout(worker),
      onExit: (worker, code, signal) => this.#onExit(worker, code, signal),
      isServing: () => this.ready > 0,
    })
    this.readiness = new Readiness({
      settleTimeout: options.settleTimeout,
      announce: this.#announce,
      workers: this.#allWorkers,
      ports: this.#spawner.ports,
      onReady: (worker) => this.#onReady(worker),
    })
    this.#workerMessages = new WorkerMessages({
      options,
      readiness: this.readiness,
      router: this.#router,
      workers: this.#allWorkers,
      replace: (worker, reason) => this.replace(worker, reason),
      onCrashReport: (worker, error) => this.#onCrashReport(worker, error),
      recovered: () => this.#reconcile(),
    })
    const { logs, name, restarts } = options
    this.logs = logs === false ? undefined : new Logs(name, logs === true ? LOG_DEFAULTS : logs)
    this.#restarts = new Restarts({ ...restarts, max: crashesAllowed(restarts.max, target) }, this.#clock)
  }

  get generation(): number {
    return this.#spawner.generation
  }

  get degraded(): boolean {
    return this.#restarts.degraded
  }

  get ready(): number {
    return [...this.workers.values()].filter(({ state }) => state === 'ready').length
  }

  /** Forks the first generation. When one worker of it fails, stops all and rejects. */
  start(): Promise<void> {
    if (this.phase === 'idle') {
      this.phase = 'starting'
      this.#spawner.nextGeneration()
      const { heartbeat } = this.#options
      if (heartbeat !== false) {
        const onHang = (hang: HangInfo) => this.#announce.hang(hang)
        this.#heartbeats = new HeartbeatMonitor(heartbeat, this.#clock, this.#allWorkers, onHang)
      }
      this.#reconcile()
    }
    return this.#start.promise
  }

  /** Reloads run one after the other; calls that come while one waits get the same result. */
  reload(): Promise<ReloadResult> {
    if (this.#isClosed) return Promise.reject(new SupervisorClosedError())
    const result = this.#reloads.ask()
    if (this.phase === 'running') this.#beginReload()
    return result
  }

  scale(target: number, by: 'call' | 'load'): void {
    if (this.#isClosed) throw new SupervisorClosedError()
    if (target === this.target) return
    const change = { from: this.target, to: target, by }
    this.target = target
    this.#announce.scale(change)
    this.#reconcile()
  }

  /** Resolves when as many are ready as are wanted, and no more. */
  settled(): Promise<void> {
    const waiting = new Deferred<void>()
    this.#waiting.push(waiting)
    this.#reconcile()
    return waiting.promise
  }

  /** Drains all workers; for the `delay` before it (milliseconds), readiness answers 503 and everything is served. */
  drain(delay: number): Promise<DrainResult> {
    if (!this.#isClosed) {
      this.phase = 'stopping'
      this.#reloads.cancel(new SupervisorClosedError())
      const now = this.#clock.now()
      const { timeout } = this.#options.drain
      for (const worker of this.workers.values()) worker.leave('stop', now, timeout, delay)
      this.#settle(now)
    }
    return this.#stop.promise
  }

  /** Kills the workers that are left. */
  kill(): void {
    for (const worker of this.workers.values()) worker.kill('force')
  }

  /** Replaces one worker; the replacement comes first. Ignored for one that is about to leave anyway. */
  replace(worker: WorkerProcess, reason: LeaveReason): void {
    if (worker.outdated !== undefined || worker.over || worker.state === 'draining') return
    worker.outdated = reason
    this.#reconcile()
  }

  #reconcile(): void {
    const now = this.#clock.now()
    const current = this.#living().filter(({ outdated }) => outdated === undefined).length
    const { fork: forks, drain } = plan({
      workers: [...this.workers.values()].map(({ planned }) => planned),
      target: this.target,
      surge: this.#options.surge,
      held: this.#restartQueue.held(now, this.target - current),
      stopping: this.phase === 'stopping',
    })
    for (const id of drain) {
      const worker = this.workers.get(id)
      worker?.leave(worker.outdated ?? 'scale', now, this.#options.drain.timeout)
    }
    for (let i = 0; i < forks; i++) this.#fork(now)
    const next = this.#restartQueue.next(now)
    this.#timer.set(next === undefined ? undefined : next - now)
    if (this.#restarts.recovered()) this.#announce.recovered()
    this.#settle(now)
  }

  /** Settles the start, the reload and the stop, each when its condition is met. */
  #settle(now: number): void {
    if (this.phase === 'starting' && this.ready >= this.target) {
      this.phase = 'running'
      this.#start.resolve()
    }
    const leftOver = this.#reloads.hasLeftOver(this.workers.values())
    const failed = this.#reloads.current?.error !== undefined
    const rolled = this.phase !== 'running' || this.ready >= this.target || failed
    const result = !leftOver && rolled ? this.#reloads.finish(now) : undefined
    if (result !== undefined) {
      this.counters.reloads[result.ok ? 'ok' : 'refused']++
      this.#announce.reload(result)
    }
    if (this.phase === 'running') this.#beginReload()
    if (this.ready === this.target && this.#living().length === this.target) {
      for (const waiting of this.#waiting.splice(0)) waiting.resolve()
    }
    if (this.phase === 'stopping' && this.workers.size === 0) this.#finish()
  }

  #finish(): void {
    this.phase = 'stopped'
    this.#timer.set(undefined)
    this.#heartbeats?.stop()
    this.#router.close()
    const closed = new SupervisorClosedError()
    this.#start.reject(this.#failure ?? closed)
    for (const waiting of this.#waiting.splice(0)) waiting.reject(closed)
    this.#stop.resolve(this.counters.drains)
  }

  #beginReload(): void {
    const reload = this.#reloads.advance()
    if (reload === undefined) return
    // New code may have cured what the old one died of.
    this.#restartQueue.clear()
    this.#restarts.reset()
    try {
      this.#spawner.nextGeneration()
      for (const worker of this.#living()) worker.outdated = 'reload'
    } catch (error) {
      reload.error = error as Error
    }
    reload.begin(this.generation, this.#clock.now())
    this.#reconcile()
  }

  /** Rolls back: new workers that are not ready go, the old ones stay. `false` when the reload had failed before. */
  #failReload(error: Error): boolean {
    if (!this.#reloads.fail(error)) return false
    this.#spawner.revert()
    this.#reloads.rollBack(this.#living())
    return true
  }

  #fork(now: number): void {
    const taken = this.#living().filter(({ outdated }) => outdated === undefined)
    const reserved = [...taken.map(({ slot }) => slot), ...this.#restartQueue.slots]
    const pending = this.#restartQueue.take(now) ?? { slot: lowestFree(reserved), streak: 0, at: now }
    const failed = (error: NodeJS.ErrnoException) => this.#onForkFailed(pending, error, now)
    const worker = this.#spawner.spawn(pending, this.target, now, failed)
    if (worker === undefined) {
      // Held at once: until the error is told, others may ask for what is missing.
      this.#restartQueue.add(retryLater(pending, this.#restarts, now))
      return
    }
    this.workers.set(worker.id, worker)
    this.counters.forks++
    this.logs?.take(worker)
    this.#announce.fork(worker)
  }

  /**
   * A worker could not be forked. The others serve on, and the slot is tried again with back-off, without end. Only a start
   * and a reload give up: at once when a retry cannot help, else after the time that a worker has to start.
   */
  #onForkFailed(pending: PendingRestart, error: NodeJS.ErrnoException, at: number): void {
    if (this.#isClosed) return
    const { slot } = pending
    const retryIn = Math.max(0, (this.#restartQueue.of(slot)?.at ?? at) - at)
    this.#announce.forkFailed({ slot, generation: this.generation, error, code: error.code, retryIn })
    if (!isPermanent(pending, error, at, this.#options.startTimeout)) return
    if (this.phase === 'starting') this.#failStart(forkError(error))
    else if (this.generation === this.#reloads.current?.generation) {
      this.#failReload(forkError(error))
      this.#reconcile()
    }
  }

  #onReady(worker: WorkerProcess): void {
    const now = this.#clock.now()
    worker.heardAt = now
    if (!worker.apply('ready', now)) return
    this.#router.workerIsReady(worker)
    this.#announce.ready(worker, now)
    this.#reconcile()
  }

  /** A worker has reported an uncaught exception. It drains by itself; its replacement is forked now. */
  #onCrashReport(worker: WorkerProcess, error: RemoteError): void {
    worker.error = error
    if (worker.state !== 'ready' && worker.state !== 'suspect') return
    worker.leaving = 'crash'
    this.#crashed(worker, 'crash')
    worker.apply('drain', this.#clock.now())
    worker.dueWithin(this.#options.drain.timeout + EXIT_GRACE, this.#clock.now())
    this.#reconcile()
  }

  #onExit(worker: WorkerProcess, code: number | null, signal: NodeJS.Signals | null): void {
    const now = this.#clock.now()
    const before = worker.state
    if (!worker.apply('exit', now)) return
    worker.clearTimers()
    this.workers.delete(worker.id)
    const exit = exitInfo(worker, before, code, signal)
    this.counters.exited(worker, exit, now)
    this.#announce.exit(exit)
    this.#reloads.left(worker)
    if (before !== 'draining') this.#onUnexpectedExit(worker, exit)
    this.#reconcile()
  }

  /** A worker has ended without having been told to. */
  #onUnexpectedExit(worker: WorkerProcess, exit: ExitInfo): void {
    if (this.phase === 'stopping') return
    if (this.phase === 'starting') this.#failStart(startError(worker, exit))
    else this.#crashed(worker, exit.cause ?? 'exit', exit)
  }

  /** The first version cannot start: it is no service. */
  #failStart(error: StartError): void {
    this.#failure ??= error
    void this.drain(0)
  }

  #crashed(worker: WorkerProcess, cause: RestartCause, exit?: ExitInfo): void {
    const now = this.#clock.now()
    // A kill from outside says nothing about the new version.
    if (worker.generation === this.#reloads.current?.generation && cause !== 'killed') {
      const news = this.#failReload(startError(worker, exit ?? { code: null, signal: null }))
      // Its slot is that of one that serves on. A second one like it is held by the back-off.
      if (news && worker.readyAt === undefined) return
    }
    const { delay, streak, degraded } = this.#restarts.crashed(now - (worker.readyAt ?? now), worker.streak)
    this.#restartQueue.add({ slot: worker.slot, streak, at: now + delay })
    if (degraded) this.#announce.degraded(worker.info, worker.error, this.#options.restarts.within)
  }

  get #isClosed(): boolean {
    return this.phase === 'stopping' || this.phase === 'stopped'
  }

  #living(): WorkerProcess[] {
    return [...this.workers.values()].filter(({ state }) => state !== 'draining')
  }
}
