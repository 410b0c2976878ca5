import type { EventEmitter } from 'node:events'
import type { Clock } from '@spillway/kit'
import { Alarm } from './alarm.js'
import { Announcer } from './announcer.js'
import { exitOf } from './cause.js'
import { Deferred } from './deferred.js'
import { Doors } from './doors.js'
import { forkError, type StartError, SupervisorClosedError, startError } from './errors.js'
import type { DrainResult, ExitInfo, ReloadResult, RestartCause, SupervisorEvents } from './events.js'
import { isConnector } from './handover.js'
import { Handovers } from './handovers.js'
import { type ListeningAddress, listeningInfo, listeningKey } from './listening.js'
import { Logs } from './logs.js'
import { recycleReason } from './marks.js'
import { fromWorker, isMarked, type Load, type ReadyMessage, type RemoteError } from './messages.js'
import { Nursery } from './nursery.js'
import { LOG_DEFAULTS, type ResolvedSupervisorOptions } from './options.js'
import { plan } from './plan.js'
import { Pulse } from './pulse.js'
import { Restarts } from './restarts.js'
import { Rolls } from './rolls.js'
import { Tally } from './tally.js'
import { lowestFree, Vacancies, type Vacancy } from './vacancies.js'
import { LAST_WORDS, type LeaveReason, type WorkerProcess } from './worker-process.js'

/** Errors of a machine that is short of something now, and may not be later. */
const PASSING = new Set([
  'EAGAIN',
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'ENOSPC',
  'EPIPE',
  'EINTR',
  'EIO',
])

/** Different addresses that are kept for people to see; a worker may say any number. */
const MOST_ADDRESSES = 1_024

/** The app's signal handlers, its list of things to close, and its `beforeExit`, and one for luck: each gets `drain.cleanUp`. */
export const AFTERCARE = 4

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
  readonly #announce: Announcer
  readonly #clock: Clock
  readonly #restarts: Restarts
  readonly #nursery: Nursery
  readonly #handovers = new Handovers()
  readonly #doors = new Doors()
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
      hear: (worker, message, given) => this.#hear(worker, message, given),
      listens: (worker, address) => this.#opens(worker, address),
      late: (worker) => this.#late(worker),
      gone: (worker, code, signal) => this.#gone(worker, code, signal),
      serves: () => this.ready > 0,
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
    const leftOver = [...this.workers.values()].some(
      (worker) =>
        worker.outdated === 'reload' || worker.leaving === 'reload' || worker.leaving === 'rollback',
    )
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
    for (const worker of this.#living()) {
      if (worker.outdated === 'reload') worker.outdated = undefined
      else if (worker.state === 'starting' && worker.generation === this.generation)
        worker.outdated = 'rollback'
    }
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
      this.#vacancies.add(this.#again(place, now))
      return
    }
    this.workers.set(worker.id, worker)
    this.tally.forks++
    this.logs?.take(worker)
    this.#announce.fork(worker)
  }

  /** When to try a place again whose worker could not be forked. */
  #again({ slot, streak, unborn }: Vacancy, now: number): Vacancy {
    const { times, since } = unborn ?? { times: 0, since: now }
    const at = now + this.#restarts.retryIn(times)
    return { slot, streak, at, unborn: { times: times + 1, since } }
  }

  /**
   * A worker could not be forked. The workers that are there serve on, and the place is tried again, for ever and with
   * back-off: what the machine is short of may come back. Only a start and a reload, for which someone waits, give up: at once
   * when trying again is no use, else after the time that a worker has to start.
   */
  #unborn({ slot, unborn }: Vacancy, error: NodeJS.ErrnoException, at: number): void {
    if (this.phase === 'stopping' || this.phase === 'stopped') return
    const retryIn = Math.max(0, (this.#vacancies.of(slot)?.at ?? at) - at)
    this.#announce.forkFailed({ slot, generation: this.generation, error, code: error.code, retryIn })
    const waited = at - (unborn?.since ?? at)
    if (PASSING.has(error.code ?? '') && waited < this.#options.startTimeout) return
    if (this.phase === 'starting') {
      this.#failure ??= forkError(error)
      void this.drain(0)
      return
    }
    if (this.generation !== this.#rolls.current?.generation) return
    this.#abortRoll(forkError(error))
    this.#reconcile()
  }

  #hear(worker: WorkerProcess, raw: unknown, given: unknown): void {
    const message = fromWorker(raw)
    // Nobody else closes a connection that comes with a message that nobody takes.
    if (message?.type !== 'handover' && isMarked(raw) && isConnector(given)) given.close()
    if (message === undefined) return
    const now = this.#clock.now()
    worker.heardAt = now
    const recovered = worker.apply('beat', now)
    if (message.type === 'serving') worker.saysReady = true
    else if (message.type === 'ready') this.#saysReady(worker, message)
    else if (message.type === 'load') this.#weigh(worker, message, now)
    else if (message.type === 'replace') this.replace(worker, message.reason)
    else if (message.type === 'failed') this.#confess(worker, message.error)
    else if (message.type === 'handover') {
      if (isConnector(given)) this.#handovers.place(this.workers.values(), given, message)
    } else if (message.type === 'drained') this.#drained(worker, message.lost, now)
    if (recovered) this.#reconcile()
  }

  /** It has nothing in flight any more. What the app still has to do itself gets time of its own. */
  #drained(worker: WorkerProcess, lost: number, now: number): void {
    worker.send({ type: 'bye' })
    if (worker.state !== 'draining' || worker.drained) return
    worker.drained = true
    worker.lost = lost
    worker.dueWithin(AFTERCARE * this.#options.drain.cleanUp + LAST_WORDS, now)
  }

  /** Somebody of us listens there. */
  listens(at: ListeningAddress): void {
    const info = listeningInfo(at)
    const key = listeningKey(at)
    if (this.listening.has(key) || this.listening.size >= MOST_ADDRESSES) return
    this.listening.set(key, info.port)
    this.#announce.listening(info)
  }

  #opens(worker: WorkerProcess, at: ListeningAddress): void {
    this.listens(at)
    this.#doors.opened(worker, at)
    if (!worker.saysReady || worker.up) this.#comesUp(worker)
  }

  #saysReady(worker: WorkerProcess, { index, port, own }: ReadyMessage): void {
    if (worker.state !== 'starting') return
    if (index !== undefined && port !== undefined) this.#nursery.ports[index] = port
    if (own) this.#becomeReady(worker)
    else this.#comesUp(worker)
  }

  /** It listens; whether wherever it should is asked at each step. */
  #comesUp(worker: WorkerProcess): void {
    if (worker.state !== 'starting') return
    if (this.#doors.missing(worker, this.workers.values()).length === 0) this.#becomeReady(worker)
    else if (!worker.up) worker.after(this.#options.settleTimeout, () => this.#takeAsIs(worker))
    worker.up = true
  }

  /** Enough of waiting for a port that this version may not have. */
  #takeAsIs(worker: WorkerProcess): void {
    if (worker.state !== 'starting') return
    const missing = this.#doors.missing(worker, this.workers.values())
    if (missing.length > 0) {
      this.#doors.giveUp(worker, missing)
      this.#announce.missing({ ...worker.info, addresses: missing })
    }
    this.#becomeReady(worker)
  }

  #late(worker: WorkerProcess): void {
    if (worker.up) this.#takeAsIs(worker)
    else worker.kill('start')
  }

  #becomeReady(worker: WorkerProcess): void {
    const now = this.#clock.now()
    worker.heardAt = now
    if (!worker.apply('ready', now)) return
    this.#handovers.welcome(worker)
    this.#announce.ready(worker, now)
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
    if (this.phase === 'starting') {
      this.#failure ??= startError(worker, exit)
      void this.drain(0)
      return
    }
    this.#crashed(worker, exit.cause ?? 'exit', exit)
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
