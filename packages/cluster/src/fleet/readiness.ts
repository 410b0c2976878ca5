import { type ListeningAddress, listeningInfo, listeningKey } from '../ipc/listening.js'
import type { ReadyMessage } from '../ipc/messages.js'
import type { WorkerProcess } from '../spawn/worker-process.js'
import type { Announcer } from './announcer.js'
import { Doors } from './listen-coverage.js'

/** Different addresses that are kept for people to see; a worker may say any number. */
const MOST_ADDRESSES = 1_024

export interface ArrivalParts {
  /** Milliseconds that a worker which listens may take to listen wherever it should. */
  readonly settleTimeout: number
  readonly announce: Announcer
  readonly workers: () => Iterable<WorkerProcess>
  /** The ports that `serve({ port: 0 })` was given, by the order of the calls. */
  readonly ports: (number | undefined)[]
  becomeReady(worker: WorkerProcess): void
}

/** Decides when a worker that starts is ready: by where it listens, see {@link Doors}, unless the app says it itself. */
export class Arrivals {
  /** Where workers have listened so far, with the port. */
  readonly addresses = new Map<string, number | undefined>()
  readonly #parts: ArrivalParts
  readonly #doors = new Doors()

  constructor(parts: ArrivalParts) {
    this.#parts = parts
  }

  /** Something of ours listens there. */
  listens(at: ListeningAddress): void {
    const info = listeningInfo(at)
    const key = listeningKey(at)
    if (this.addresses.has(key) || this.addresses.size >= MOST_ADDRESSES) return
    this.addresses.set(key, info.port)
    this.#parts.announce.listening(info)
  }

  /** A worker listens there. */
  opens(worker: WorkerProcess, at: ListeningAddress): void {
    this.listens(at)
    this.#doors.opened(worker, at)
    if (!worker.saysReady || worker.up) this.#comesUp(worker)
  }

  /** A worker says that it is ready. From one that is past that, it means nothing. */
  says(worker: WorkerProcess, { index, port, own }: ReadyMessage): void {
    if (worker.state !== 'starting') return
    if (index !== undefined && port !== undefined) this.#parts.ports[index] = port
    if (own) this.#parts.becomeReady(worker)
    else this.#comesUp(worker)
  }

  /** The time that it had to start is over. */
  late(worker: WorkerProcess): void {
    if (worker.up) this.#takeAsIs(worker)
    else worker.kill('start')
  }

  /** It listens; whether wherever it should is asked at each step. */
  #comesUp(worker: WorkerProcess): void {
    if (worker.state !== 'starting') return
    const { settleTimeout, becomeReady } = this.#parts
    if (this.#missing(worker).length === 0) becomeReady(worker)
    else if (!worker.up) worker.after(settleTimeout, () => this.#takeAsIs(worker))
    worker.up = true
  }

  /** Enough of waiting for a port that this version may not have. */
  #takeAsIs(worker: WorkerProcess): void {
    if (worker.state !== 'starting') return
    const missing = this.#missing(worker)
    if (missing.length > 0) {
      this.#doors.giveUp(worker, missing)
      this.#parts.announce.missing({ ...worker.info, addresses: missing })
    }
    this.#parts.becomeReady(worker)
  }

  #missing(worker: WorkerProcess): string[] {
    return this.#doors.missing(worker, this.#parts.workers())
  }
}
