import type { WorkerProcess } from '../spawn/worker-process.js'

export interface LivenessVerdict {
  /** Their heartbeat is late: they get the benefit of the doubt, and nothing else. */
  readonly late: readonly WorkerProcess[]
  /** Silent beyond the deadline. */
  readonly hung: readonly WorkerProcess[]
}

export interface LivenessOptions {
  /** Milliseconds between heartbeats. */
  readonly interval: number
  /** Milliseconds of silence that end it. */
  readonly deadline: number
}

/**
 * Tells silent workers from a supervisor that did not listen. When our own check comes late (the machine slept, all
 * of us were stopped, the primary was busy), nobody could be heard meanwhile: everybody gets that time back.
 */
export class Liveness {
  /** How often to check, in milliseconds. */
  readonly period: number
  readonly #options: LivenessOptions
  #checkedAt: number

  constructor(options: LivenessOptions, now: number) {
    this.#options = options
    this.#checkedAt = now
    this.period = Math.max(20, Math.min(options.interval, options.deadline / 8) / 2)
  }

  check(workers: Iterable<WorkerProcess>, now: number): LivenessVerdict {
    const overslept = now - this.#checkedAt - this.period
    this.#checkedAt = now
    const { interval, deadline } = this.#options
    const late: WorkerProcess[] = []
    const hung: WorkerProcess[] = []
    for (const worker of workers) {
      if (worker.state !== 'ready' && worker.state !== 'suspect') continue
      if (overslept > this.period) worker.heardAt = Math.min(now, worker.heardAt + overslept)
      const silent = now - worker.heardAt
      if (silent >= deadline) hung.push(worker)
      else if (silent >= Math.min(2.5 * interval, deadline / 2)) late.push(worker)
    }
    return { late, hung }
  }
}
