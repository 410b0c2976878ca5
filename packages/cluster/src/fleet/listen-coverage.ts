import { type ListeningAddress, listeningKey } from '../ipc/listening.js'
import type { WorkerProcess } from '../spawn/worker-process.js'

/** More than any app listens to; what a worker says beyond is not kept. */
const MOST = 256

/**
 * Readiness rule by listening ports. A worker gets connections for each port as soon as it listens there, and connections to a
 * port that only old workers listen to are refused when these leave. So a replacement is ready when it listens on every port
 * of its predecessor. A worker without a predecessor (after a crash, or an additional one) is ready when it listens on every
 * port that all other workers have in common. A worker of the first generation is ready with its first port.
 *
 * A new version may have given up a port: after a while (option `settleTimeout`) it is taken as it is, and then the whole
 * generation is. Refusing it would make a port that once was open one that no deployment can ever close.
 */
export class ListenCoverage {
  #givenUp = new Set<string>()
  #generation = 0

  /** A worker listens. */
  opened({ listening }: WorkerProcess, at: ListeningAddress): void {
    if (listening.size < MOST) listening.add(listeningKey(at))
  }

  /** Where a worker does not listen yet, although it should. */
  missing(worker: WorkerProcess, all: Iterable<WorkerProcess>): string[] {
    const others = [...all].filter((each) => each !== worker && serves(each))
    const before = others.findLast(({ slot }) => slot === worker.slot)
    const measure = before === undefined ? common(others) : [...before.listening]
    const givenUp = worker.generation === this.#generation ? this.#givenUp : undefined
    return measure.filter((key) => !worker.listening.has(key) && givenUp?.has(key) !== true)
  }

  /** This version does not listen there any more. */
  giveUp({ generation }: WorkerProcess, keys: readonly string[]): void {
    if (generation > this.#generation) {
      this.#generation = generation
      this.#givenUp = new Set()
    }
    if (generation === this.#generation) for (const key of keys) this.#givenUp.add(key)
  }
}

function serves({ state }: WorkerProcess): boolean {
  return state === 'ready' || state === 'suspect'
}

function common([first, ...others]: readonly WorkerProcess[]): string[] {
  if (first === undefined) return []
  return [...first.listening].filter((key) => others.every(({ listening }) => listening.has(key)))
}
