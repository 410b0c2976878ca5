import type { WorkerProcess } from '../spawn/worker-process.js'

/** The ready and suspect workers whose heartbeat is missing. */
export interface LivenessVerdict {
  /** The heartbeat is late: the worker becomes suspect, and nothing else happens to it. */
  readonly late: readonly WorkerProcess[]
  /** Silent beyond the deadline. */
  readonly hung: readonly WorkerProcess[]
}

/** The intervals of the failure detector. */
export interface LivenessOptions {
  /** Milliseconds between heartbeats. */
  readonly interval: number
  /** Milliseconds of silence after which a worker is hung. */
  readonly deadline: number
}

/**
 * Timeout rule of the failure detector, which tells a silent worker from a primary that did not listen. When the check itself
 * comes late (the machine slept, the whole process group was stopped, the primary was busy), the primary could read no
 * heartbeat meanwhile: that time is added to the deadline of every worker.
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
