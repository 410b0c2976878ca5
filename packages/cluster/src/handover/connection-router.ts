import { marked } from '../ipc/messages.js'
import type { Journey } from '../ipc/transfer.js'
import { addressOf, type Connector, sendable } from '../node-internals/handles.js'
import type { WorkerProcess } from '../spawn/worker-process.js'
import { chosen, STICKY } from './sticky-listener.js'

interface Homeless {
  readonly handle: Connector
  readonly journey: Journey
}

/** How many connections may wait for a worker to be ready. */
const MOST_HOMELESS = 10_000

/** Connections of workers that leave, on their way to workers that stay. */
export class Handovers {
  moved = 0
  #homeless: Homeless[] = []
  #turn = 0

  /** Finds a connection a new worker, or lets it wait for one. When all that are there have refused it, it is closed. */
  place(workers: Iterable<WorkerProcess>, handle: Connector, journey: Journey): void {
    const ready = [...workers].filter(({ state }) => state === 'ready')
    const untried = ready.filter(({ id }) => !journey.tried.includes(id))
    const current = untried.filter(({ outdated }) => outdated === undefined)
    const worker = this.#choose(current.length > 0 ? current : untried, handle, journey)
    if (worker !== undefined) this.#give(worker, { handle, journey })
    else if (ready.length === 0 && this.#homeless.length < MOST_HOMELESS)
      this.#homeless.push({ handle, journey })
    else handle.close()
  }

  /** A worker has become ready. */
  welcome(worker: WorkerProcess): void {
    for (const each of this.#homeless.splice(0)) this.#give(worker, each)
  }

  close(): void {
    for (const { handle } of this.#homeless.splice(0)) handle.close()
  }

  #choose(
    candidates: readonly WorkerProcess[],
    handle: Connector,
    { place }: Journey,
  ): WorkerProcess | undefined {
    const address = place === STICKY ? addressOf(handle) : undefined
    if (address !== undefined) return chosen(address, candidates)
    return candidates[this.#turn++ % Math.max(1, candidates.length)]
  }

  #give({ id, handle: { process } }: WorkerProcess, { handle, journey }: Homeless): void {
    this.moved++
    const message = marked({ ...journey, type: 'connection', tried: [...journey.tried, id] })
    process.send(message, sendable(handle), undefined, () => handle.close())
  }
}
