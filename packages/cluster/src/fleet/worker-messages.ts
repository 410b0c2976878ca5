import type { RemoteError } from '../errors.js'
import type { LeaveReason } from '../events.js'
import type { ConnectionRouter } from '../handover/connection-router.js'
import { fromWorker, isMarked, type Load } from '../ipc/messages.js'
import { recycleReason } from '../monitoring/recycling.js'
import { isConnectionHandle } from '../node-internals/handles.js'
import type { ResolvedSupervisorOptions } from '../options.js'
import { EXIT_GRACE, type WorkerProcess } from '../spawn/worker-process.js'
import type { Readiness } from './readiness.js'

/** Steps of the app's clean-up, each within `drain.cleanUp`: signal handlers, closing, `beforeExit`, and one as a margin. */
const CLEAN_UP_STEPS = 4

/** What {@link WorkerMessages} calls on the fleet. */
export interface WorkerMessagesContext {
  readonly options: ResolvedSupervisorOptions
  readonly readiness: Readiness
  readonly router: ConnectionRouter
  readonly workers: () => Iterable<WorkerProcess>
  replace(worker: WorkerProcess, reason: LeaveReason): void
  /** It has met an error that it must not survive. */
  onCrashReport(worker: WorkerProcess, error: RemoteError): void
  /** It was silent for too long, and is not any more. */
  recovered(): void
}

/** Dispatcher of the workers' messages. */
export class WorkerMessages {
  readonly #context: WorkerMessagesContext

  constructor(context: WorkerMessagesContext) {
    this.#context = context
  }

  onMessage(worker: WorkerProcess, raw: unknown, given: unknown): void {
    const message = fromWorker(raw)
    // A connection that comes with an invalid message is closed here: no other code would close it.
    if (message?.type !== 'handover' && isMarked(raw) && isConnectionHandle(given)) given.close()
    if (message === undefined) return
    const { options, readiness, router, workers, replace, onCrashReport, recovered } = this.#context
    const now = options.clock.now()
    worker.heardAt = now
    const isBack = worker.apply('beat', now)
    if (message.type === 'serving') worker.saysReady = true
    else if (message.type === 'ready') readiness.onReadyMessage(worker, message)
    else if (message.type === 'load') this.#onLoad(worker, message, now)
    else if (message.type === 'replace') replace(worker, message.reason)
    else if (message.type === 'failed') onCrashReport(worker, message.error)
    else if (message.type === 'handover') {
      if (isConnectionHandle(given)) router.route(workers(), given, message)
    } else if (message.type === 'drained') this.#onDrained(worker, message.lost, now)
    if (isBack) recovered()
  }

  /** It has nothing in flight any more. What the app still has to do itself gets time of its own. */
  #onDrained(worker: WorkerProcess, lost: number, now: number): void {
    worker.send({ type: 'bye' })
    if (worker.state !== 'draining' || worker.drained) return
    worker.drained = true
    worker.lost = lost
    worker.dueWithin(CLEAN_UP_STEPS * this.#context.options.drain.cleanUp + EXIT_GRACE, now)
  }

  #onLoad(worker: WorkerProcess, load: Load, now: number): void {
    worker.load = load
    if (worker.state !== 'ready') return
    const reason = recycleReason(worker, load, this.#context.options, now)
    if (reason !== undefined) this.#context.replace(worker, reason)
  }
}
