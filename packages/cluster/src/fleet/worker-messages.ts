import type { Handovers } from '../handover/connection-router.js'
import { fromWorker, isMarked, type Load, type RemoteError } from '../ipc/messages.js'
import { recycleReason } from '../monitoring/recycling.js'
import { isConnector } from '../node-internals/handles.js'
import type { ResolvedSupervisorOptions } from '../options.js'
import { LAST_WORDS, type LeaveReason, type WorkerProcess } from '../spawn/worker-process.js'
import type { Arrivals } from './readiness.js'

/** The app's signal handlers, its list of things to close, and its `beforeExit`, and one for luck: each gets `drain.cleanUp`. */
const AFTERCARE = 4

export interface ConversationParts {
  readonly options: ResolvedSupervisorOptions
  readonly arrivals: Arrivals
  readonly handovers: Handovers
  readonly workers: () => Iterable<WorkerProcess>
  replace(worker: WorkerProcess, reason: LeaveReason): void
  /** It has met an error that it must not survive. */
  confess(worker: WorkerProcess, error: RemoteError): void
  /** It was silent for too long, and is not any more. */
  recovered(): void
}

/** What workers say to their supervisor, and what that means. */
export class Conversation {
  readonly #parts: ConversationParts

  constructor(parts: ConversationParts) {
    this.#parts = parts
  }

  hear(worker: WorkerProcess, raw: unknown, given: unknown): void {
    const message = fromWorker(raw)
    // Nobody else closes a connection that comes with a message that nobody takes.
    if (message?.type !== 'handover' && isMarked(raw) && isConnector(given)) given.close()
    if (message === undefined) return
    const { options, arrivals, handovers, workers, replace, confess, recovered } = this.#parts
    const now = options.clock.now()
    worker.heardAt = now
    const isBack = worker.apply('beat', now)
    if (message.type === 'serving') worker.saysReady = true
    else if (message.type === 'ready') arrivals.says(worker, message)
    else if (message.type === 'load') this.#weigh(worker, message, now)
    else if (message.type === 'replace') replace(worker, message.reason)
    else if (message.type === 'failed') confess(worker, message.error)
    else if (message.type === 'handover') {
      if (isConnector(given)) handovers.place(workers(), given, message)
    } else if (message.type === 'drained') this.#drained(worker, message.lost, now)
    if (isBack) recovered()
  }

  /** It has nothing in flight any more. What the app still has to do itself gets time of its own. */
  #drained(worker: WorkerProcess, lost: number, now: number): void {
    worker.send({ type: 'bye' })
    if (worker.state !== 'draining' || worker.drained) return
    worker.drained = true
    worker.lost = lost
    worker.dueWithin(AFTERCARE * this.#parts.options.drain.cleanUp + LAST_WORDS, now)
  }

  #weigh(worker: WorkerProcess, load: Load, now: number): void {
    worker.load = load
    if (worker.state !== 'ready') return
    const reason = recycleReason(worker, load, this.#parts.options, now)
    if (reason !== undefined) this.#parts.replace(worker, reason)
  }
}
