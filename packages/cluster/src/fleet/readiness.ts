import { type ListeningAddress, listeningInfo, listeningKey } from '../ipc/listening.js'
import type { ReadyMessage } from '../ipc/messages.js'
import type { WorkerProcess } from '../spawn/worker-process.js'
import type { Announcer } from './announcer.js'
import { ListenCoverage } from './listen-coverage.js'

/** Most different addresses that are announced: a worker may report any number. */
const MOST_ADDRESSES = 1_024

/** What {@link Readiness} needs of the fleet. */
export interface ReadinessContext {
  /** Milliseconds that a worker which listens may take to listen on every port that it should have. */
  readonly settleTimeout: number
  readonly announce: Announcer
  readonly workers: () => Iterable<WorkerProcess>
  /** The ports that `serve({ port: 0 })` was given, by the order of the calls. */
  readonly ports: (number | undefined)[]
  onReady(worker: WorkerProcess): void
}

/** Decides when a worker that starts is ready: by where it listens, see {@link ListenCoverage}, unless the app says it itself. */
export class Readiness {
  /** The addresses at which workers have listened so far, with the port. */
  readonly addresses = new Map<string, number | undefined>()
  readonly #context: ReadinessContext
  readonly #coverage = new ListenCoverage()

  constructor(context: ReadinessContext) {
    this.#context = context
  }

  /** Announces an address at which a worker or the sticky listener listens. */
  addAddress(at: ListeningAddress): void {
    const info = listeningInfo(at)
    const key = listeningKey(at)
    if (this.addresses.has(key) || this.addresses.size >= MOST_ADDRESSES) return
    this.addresses.set(key, info.port)
    this.#context.announce.listening(info)
  }

  /** A worker listens there. */
  onListening(worker: WorkerProcess, at: ListeningAddress): void {
    this.addAddress(at)
    this.#coverage.opened(worker, at)
    if (!worker.saysReady || worker.up) this.#comesUp(worker)
  }

  /** A worker reports that it is ready. Ignored unless the worker is starting. */
  onReadyMessage(worker: WorkerProcess, { index, port, own }: ReadyMessage): void {
    if (worker.state !== 'starting') return
    if (index !== undefined && port !== undefined) this.#context.ports[index] = port
    if (own) this.#context.onReady(worker)
    else this.#comesUp(worker)
  }

  /** The time that it had to start is over. */
  onStartTimeout(worker: WorkerProcess): void {
    if (worker.up) this.#acceptAsIs(worker)
    else worker.kill('start')
  }

  /** The worker listens; each step of the fleet asks whether ports are still missing. */
  #comesUp(worker: WorkerProcess): void {
    if (worker.state !== 'starting') return
    const { settleTimeout, onReady } = this.#context
    if (this.#missing(worker).length === 0) onReady(worker)
    else if (!worker.up) worker.after(settleTimeout, () => this.#acceptAsIs(worker))
    worker.up = true
  }

  /** `settleTimeout` is over: this version may not have the port any more. */
  #acceptAsIs(worker: WorkerProcess): void {
    if (worker.state !== 'starting') return
    const missing = this.#missing(worker)
    if (missing.length > 0) {
      this.#coverage.giveUp(worker, missing)
      this.#context.announce.missing({ ...worker.info, addresses: missing })
    }
    this.#context.onReady(worker)
  }

  #missing(worker: WorkerProcess): string[] {
    return this.#coverage.missing(worker, this.#context.workers())
  }
}
