import type { EventEmitter } from 'node:events'
import type { Clock } from '@spillway/kit'
import { forkError, type StartError, SupervisorClosedError, startError } from '../errors.js'
import type { DrainResult, ExitInfo, ReloadResult, RestartCause, SupervisorEvents } from '../events.js'
import { Handovers } from '../handover/connection-router.js'
import { Deferred } from '../ipc/deferred.js'
import type { RemoteError } from '../ipc/messages.js'
import { Logs } from '../logs/logs.js'
import { Pulse } from '../monitoring/heartbeat-monitor.js'
import { LOG_DEFAULTS, type ResolvedSupervisorOptions } from '../options.js'
import { exitOf } from '../spawn/exit-info.js'
import { LAST_WORDS, type LeaveReason, type WorkerProcess } from '../spawn/worker-process.js'
import { Nursery } from '../spawn/worker-spawner.js'
import { Announcer } from './announcer.js'
import { Tally } from './fleet-counters.js'
import { again, isHopeless } from './fork-retry.js'
import { plan } from './plan.js'
import { Arrivals } from './readiness.js'
import { Alarm } from './rearm-timer.js'
import { Rolls } from './reload-queue.js'
import { lowestFree, Vacancies, type Vacancy } from './restart-queue.js'
import { Restarts } from './restarts.js'
import { Conversation } from './worker-messages.js'

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
  readonly arrivals: Arrivals
  phase: FleetPhase = 'idle'
  target: number
  readonly #options: ResolvedSupervisorOptions
  readonly #announce: Announcer
  readonly #clock: Clock
  readonly #restarts: Restarts
  readonly #nursery: Nursery
  readonly #handovers = new Handovers()
  readonly #conversation: Conversation
  readonly #vacancies = new Vacancies()
  readonly #start = new Deferred<void>()
  readonly #stop = new Deferred<DrainResult>()
  readonly #waiting: Deferred<void>[] = []
  readonly #rolls = new Rolls()
  readonly #alarm = new Alarm(() => this.#reconcile())
  #failure: StartError | undefined
  #pulse: Pulse | undefined

  constructor(options: ResolvedSupervisorOptions, target: number, events: EventEmitter<SupervisorEvents>) {
    this.#options = options
    this.#announce = new Announcer(events)
    this.#clock = options.clock
    this.target = target
    this.#nursery = new Nursery(options, {
      hear: (worker, message, given) => this.#conversation.hear(worker, message, given),
      listens: (worker, address) => this.arrivals.opens(worker, address),
      late: (worker) => this.arrivals.late(worker),
      gone: (worker, code, signal) => this.#gone(worker, code, signal),
      serves: () => this.ready > 0,
    })
    this.arrivals = new Arrivals({
      settleTimeout: options.settleTimeout,
      announce: this.#announce,
      workers: () => this.workers.values(),
      ports: this.#nursery.ports,
      becomeReady: (worker) => this.#becomeReady(worker),
    })
    this.#conversation = new Conversation({
      options,
      arrivals: this.arrivals,
      handovers: this.#handovers,
      workers: () => this.workers.values(),
      replace: (worker, reason) => this.replace(worker, reason),
      confess: (worker, error) => this.#confess(worker, error),
      recovered: () => this.#reconcile(),
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
        this.#pulse = new Pulse(heartbeat, this.#clock, workers, (hang) => this.#announce.hang(hang))
      }
      this.#reconcile()
    }
    return this.#start.promise
  }

  /** One after the other; calls that come while one waits get the same result. */
  reload(): Promise<ReloadResult> {
    if (this.phase === 'stopping' || this.phase === 'stopped')
      return Promise.reject(new SupervisorClosedError())
    const result = this.#rolls.ask()
    if (this.phase === 'running') this.#beginRoll()
    return result
  }

  scale(target: number, by: 'call' | 'load'): void {
    if (this.phase === 'stopping' || this.phase === 'stopped') throw new SupervisorClosedError()
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

  /** Everybody leaves; `delay` is the time in which readiness already says no. */
  drain(delay: number): Promise<DrainResult> {
    if (this.phase !== 'stopping' && this.phase !== 'stopped') {
      this.phase = 'stopping'
      this.#rolls.cancel(new SupervisorClosedError())
      const now = this.#clock.now()
      for (const worker of this.workers.values())
        worker.leave('stop', now, this.#options.drain.timeout, delay)
      this.#settle(now)
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
      workers: [...this.workers.values()].map(({ planned }) => planned),
      target: this.target,
      surge: this.#options.surge,
      held,
      stopping: this.phase === 'stopping',
    })
    for (const id of drain) {
      const worker = this.workers.get(id)
      worker?.leave(worker.outdated ?? 'scale', now, this.#options.drain.timeout)
    }
    for (let i = 0; i < forks; i++) this.#fork(now)
    const next = this.#vacancies.next(now)
    this.#alarm.set(next === undefined ? undefined : next - now)
    if (this.#restarts.recovered()) this.#announce.recovered()
    this.#settle(now)
  }

  /** Ends whatever has come to its end: the start, a roll, the fleet. */
  #settle(now: number): void {
    if (this.phase === 'starting' && this.ready >= this.target) {
      this.phase = 'running'
      this.#start.resolve()
    }
    const leftOver = this.#rolls.hasLeftOver(this.workers.values())
    const failed = this.#rolls.current?.error !== undefined
    const rolled = this.phase !== 'running' || this.ready >= this.target || failed
    const result = !leftOver && rolled ? this.#rolls.finish(now) : undefined
    if (result !== undefined) {
      this.tally.reloads[result.ok ? 'ok' : 'refused']++
      this.#announce.reload(result)
    }
    if (this.phase === 'running') this.#beginRoll()
    if (this.ready === this.target && this.#living().length === this.target) {
      for (const waiting of this.#waiting.splice(0)) waiting.resolve()
    }
    if (this.phase === 'stopping' && this.workers.size === 0) this.#finish()
  }

  #finish(): void {
    this.phase = 'stopped'
    this.#alarm.set(undefined)
    this.#pulse?.stop()
    this.#handovers.close()
    const closed = new SupervisorClosedError()
    this.#start.reject(this.#failure ?? closed)
    for (const waiting of this.#waiting.splice(0)) waiting.reject(closed)
    this.#stop.resolve(this.tally.drains)
  }

  #beginRoll(): void {
    const roll = this.#rolls.advance()
    if (roll === undefined) return
    // New code may have cured what the old one died of.
    this.#vacancies.clear()
    this.#restarts.reset()
    try {
      this.#nursery.nextGeneration()
      for (const worker of this.#living()) worker.outdated = 'reload'
    } catch (error) {
      roll.error = error as Error
    }
    roll.begin(this.generation, this.#clock.now())
    this.#reconcile()
  }

  /** The new version is no good: those of it that are not ready go, the old ones stay. Tells whether that is news. */
  #abortRoll(error: Error): boolean {
    if (!this.#rolls.fail(error)) return false
    this.#nursery.revert()
    this.#rolls.rollBack(this.#living())
    return true
  }

  #fork(now: number): void {
    const taken = this.#living().filter(({ outdated }) => outdated === undefined)
    const reserved = [...taken.map(({ slot }) => slot), ...this.#vacancies.slots]
    const place = this.#vacancies.take(now) ?? { slot: lowestFree(reserved), streak: 0, at: now }
    const failed = (error: NodeJS.ErrnoException) => this.#unborn(place, error, now)
    const worker = this.#nursery.bear(place, this.target, now, failed)
    if (worker === undefined) {
      // Held at once: until the error is told, others may ask for what is missing.
      this.#vacancies.add(again(place, this.#restarts, now))
      return
    }
    this.workers.set(worker.id, worker)
    this.tally.forks++
    this.logs?.take(worker)
    this.#announce.fork(worker)
  }

  /**
   * A worker could not be forked. The workers that are there serve on, and the place is tried again, for ever and with
   * back-off: what the machine is short of may come back. Only a start and a reload, for which someone waits, give up: at once
   * when trying again is no use, else after the time that a worker has to start.
   */
  #unborn(place: Vacancy, error: NodeJS.ErrnoException, at: number): void {
    if (this.phase === 'stopping' || this.phase === 'stopped') return
    const { slot } = place
    const retryIn = Math.max(0, (this.#vacancies.of(slot)?.at ?? at) - at)
    this.#announce.forkFailed({ slot, generation: this.generation, error, code: error.code, retryIn })
    if (!isHopeless(place, error, at, this.#options.startTimeout)) return
    if (this.phase === 'starting') this.#refuse(forkError(error))
    else if (this.generation === this.#rolls.current?.generation) {
      this.#abortRoll(forkError(error))
      this.#reconcile()
    }
  }

  #becomeReady(worker: WorkerProcess): void {
    const now = this.#clock.now()
    worker.heardAt = now
    if (!worker.apply('ready', now)) return
    this.#handovers.welcome(worker)
    this.#announce.ready(worker, now)
    this.#reconcile()
  }

  /** A worker has met an error it must not survive. It drains by itself; its place is refilled now. */
  #confess(worker: WorkerProcess, error: RemoteError): void {
    worker.error = error
    if (worker.state !== 'ready' && worker.state !== 'suspect') return
    worker.leaving = 'crash'
    this.#crashed(worker, 'crash')
    worker.apply('drain', this.#clock.now())
    worker.dueWithin(this.#options.drain.timeout + LAST_WORDS, this.#clock.now())
    this.#reconcile()
  }

  #gone(worker: WorkerProcess, code: number | null, signal: NodeJS.Signals | null): void {
    const now = this.#clock.now()
    const before = worker.state
    if (!worker.apply('exit', now)) return
    worker.clearTimers()
    this.workers.delete(worker.id)
    const exit = exitOf(worker, before, code, signal)
    this.tally.exited(worker, exit, now)
    this.#announce.exit(exit)
    this.#rolls.left(worker)
    if (before !== 'draining') this.#failed(worker, exit)
    this.#reconcile()
  }

  /** A worker has ended that nobody had told to. */
  #failed(worker: WorkerProcess, exit: ExitInfo): void {
    if (this.phase === 'stopping') return
    if (this.phase === 'starting') this.#refuse(startError(worker, exit))
    else this.#crashed(worker, exit.cause ?? 'exit', exit)
  }

  /** The first version cannot start: it is no service. */
  #refuse(error: StartError): void {
    this.#failure ??= error
    void this.drain(0)
  }

  #crashed(worker: WorkerProcess, cause: RestartCause, exit?: ExitInfo): void {
    const now = this.#clock.now()
    // A kill from outside says nothing about the new version.
    if (worker.generation === this.#rolls.current?.generation && cause !== 'killed') {
      const news = this.#abortRoll(startError(worker, exit ?? { code: null, signal: null }))
      // Its place is that of one that serves on. A second one like it is held by the back-off.
      if (news && worker.readyAt === undefined) return
    }
    const { delay, streak, degraded } = this.#restarts.crashed(now - (worker.readyAt ?? now), worker.streak)
    this.#vacancies.add({ slot: worker.slot, streak, at: now + delay })
    if (degraded) this.#announce.degraded(worker.info, worker.error, this.#options.restarts.within)
  }

  #living(): WorkerProcess[] {
    return [...this.workers.values()].filter(({ state }) => state !== 'draining')
  }
}
