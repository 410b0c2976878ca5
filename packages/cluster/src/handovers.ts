import { type Connector, sendable } from './handover.js'
import { marked } from './messages.js'
import type { WorkerProcess } from './worker-process.js'

interface Homeless {
  readonly handle: Connector
  readonly place: string
}

/** How many connections may wait for a worker to be ready. */
const MOST_HOMELESS = 10_000

/** Idle connections of workers that leave, on their way to workers that stay. */
export class Handovers {
  moved = 0
  #homeless: Homeless[] = []
  #turn = 0

  /** Finds a connection a new worker, or lets it wait for one. */
  place(workers: Iterable<WorkerProcess>, handle: Connector, place: string): void {
    const ready = [...workers].filter(({ state }) => state === 'ready')
    const current = ready.filter(({ outdated }) => outdated === undefined)
    const candidates = current.length > 0 ? current : ready
    const worker = candidates[this.#turn++ % Math.max(1, candidates.length)]
    if (worker !== undefined) this.#give(worker, { handle, place })
    else if (this.#homeless.length < MOST_HOMELESS) this.#homeless.push({ handle, place })
    else handle.close()
  }

  /** A worker has become ready. */
  welcome(worker: WorkerProcess): void {
    for (const each of this.#homeless.splice(0)) this.#give(worker, each)
  }

  close(): void {
    for (const { handle } of this.#homeless.splice(0)) handle.close()
  }

  #give({ handle: { process } }: WorkerProcess, { handle, place }: Homeless): void {
    this.moved++
    process.send(marked({ type: 'connection', place }), sendable(handle), undefined, () => handle.close())
  }
}
