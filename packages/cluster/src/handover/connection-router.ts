import { marked } from '../ipc/messages.js'
import type { Transfer } from '../ipc/transfer.js'
import { addressOf, type ConnectionHandle, sendable } from '../node-internals/handles.js'
import type { WorkerProcess } from '../spawn/worker-process.js'
import { chosen, STICKY } from './sticky-listener.js'

interface WaitingConnection {
  readonly handle: ConnectionHandle
  readonly transfer: Transfer
}

/** How many connections may wait for a worker to be ready. */
const MOST_WAITING = 10_000

/** Router of connections that a leaving worker hands over: each goes to a ready worker, or waits for one. */
export class ConnectionRouter {
  moved = 0
  #waiting: WaitingConnection[] = []
  #turn = 0

  /** Finds a connection a new worker, or lets it wait for one. When all that are there have refused it, it is closed. */
  route(workers: Iterable<WorkerProcess>, handle: ConnectionHandle, transfer: Transfer): void {
    const ready = [...workers].filter(({ state }) => state === 'ready')
    const untried = ready.filter(({ id }) => !transfer.tried.includes(id))
    const current = untried.filter(({ outdated }) => outdated === undefined)
    const worker = this.#choose(current.length > 0 ? current : untried, handle, transfer)
    if (worker !== undefined) this.#give(worker, { handle, transfer })
    else if (ready.length === 0 && this.#waiting.length < MOST_WAITING)
      this.#waiting.push({ handle, transfer })
    else handle.close()
  }

  /** A worker has become ready. */
  workerIsReady(worker: WorkerProcess): void {
    for (const each of this.#waiting.splice(0)) this.#give(worker, each)
  }

  close(): void {
    for (const { handle } of this.#waiting.splice(0)) handle.close()
  }

  #choose(
    candidates: readonly WorkerProcess[],
    handle: ConnectionHandle,
    { listener }: Transfer,
  ): WorkerProcess | undefined {
    const address = listener === STICKY ? addressOf(handle) : undefined
    if (address !== undefined) return chosen(address, candidates)
    return candidates[this.#turn++ % Math.max(1, candidates.length)]
  }

  #give({ id, handle: { process } }: WorkerProcess, { handle, transfer }: WaitingConnection): void {
    this.moved++
    const message = marked({ ...transfer, type: 'connection', tried: [...transfer.tried, id] })
    process.send(message, sendable(handle), undefined, () => handle.close())
  }
}
