import { type ListeningAddress, listeningKey } from '../ipc/listening.js'
import type { WorkerProcess } from '../spawn/worker-process.js'

/** More than any app listens to; what a worker says beyond is not kept. */
const MOST = 256

/**
 * Where workers listen, and so which of them can take the place of another one. A worker gets connections for each port as
 * soon as it listens there, and a port that only the workers of before listen to is refused when they leave. So a replacement
 * is ready when it listens wherever the one before it does. One without a predecessor, after a crash or when more workers are
 * wanted, is ready when it listens wherever all others do. The first generation has nothing to be measured by.
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
    return measure.filter((door) => !worker.listening.has(door) && givenUp?.has(door) !== true)
  }

  /** This version does not listen there any more. */
  giveUp({ generation }: WorkerProcess, doors: readonly string[]): void {
    if (generation > this.#generation) {
      this.#generation = generation
      this.#givenUp = new Set()
    }
    if (generation === this.#generation) for (const door of doors) this.#givenUp.add(door)
  }
}

function serves({ state }: WorkerProcess): boolean {
  return state === 'ready' || state === 'suspect'
}

function common([first, ...others]: readonly WorkerProcess[]): string[] {
  if (first === undefined) return []
  return [...first.listening].filter((door) => others.every(({ listening }) => listening.has(door)))
}
