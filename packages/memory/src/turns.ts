import { performance } from 'node:perf_hooks'

/** Tells a crowd of requests from a single slow one. */
export interface TurnWatch {
  /** The turn that has just ended was late: look at those that follow. Nothing new while it is looking already. */
  follow(): void
  /** Stops looking. */
  rest(): void
  /**
   * Milliseconds of work in the present turn when the two before it were late as well, else 0: what waits in it has
   * waited for as long, and what comes after it will.
   */
  backlog(): number
}

/** One late turn is a hiccup, and its aftermath may be another; more work than can be done makes one after the other late. */
const LATE_IN_A_ROW = 2

/**
 * Turns of the event loop. Each takes up all that has come in meanwhile, so when more comes than can be done, every turn
 * is longer than the one before, and its length is the queue. An immediate marks where one ends; unref'ed, it runs once in
 * every turn, keeps neither the process alive nor the loop from waiting, and is there only on suspicion. Waiting for
 * work is no work: it is not counted.
 */
export class Turns implements TurnWatch {
  readonly #limit: number
  #mark: NodeJS.Immediate | undefined
  #beganAt = 0
  #late = 0

  /** `limit`: milliseconds from which a turn is late. */
  constructor(limit: number) {
    this.#limit = limit
  }

  follow(): void {
    if (this.#mark !== undefined) return
    this.#late = 1
    this.#begin(workSoFar())
  }

  rest(): void {
    clearImmediate(this.#mark)
    this.#mark = undefined
    this.#late = 0
  }

  backlog(): number {
    return this.#late < LATE_IN_A_ROW ? 0 : workSoFar() - this.#beganAt
  }

  #begin(now: number): void {
    this.#beganAt = now
    this.#mark = setImmediate(() => this.#end())
    this.#mark.unref()
  }

  #end(): void {
    const now = workSoFar()
    this.#late = now - this.#beganAt >= this.#limit ? this.#late + 1 : 0
    this.#begin(now)
  }
}

/** Milliseconds for which the loop has been busy since it began. */
function workSoFar(): number {
  return performance.eventLoopUtilization().active
}
