import type { DrainResult, ExitInfo, RestartCause } from './events.js'
import type { WorkerProcess } from './worker-process.js'
import type { WorkerState } from './worker-state.js'

const STATES = ['starting', 'ready', 'suspect', 'draining'] as const
type LivingState = (typeof STATES)[number]

export interface StateDurations {
  /** How many workers came to this state. */
  readonly count: number
  /** Milliseconds, all workers together. */
  readonly total: number
  readonly longest: number
}

/** What has happened so far, in numbers. */
export class Tally {
  forks = 0
  readonly restarts: Partial<Record<RestartCause, number>> = {}
  readonly reloads = { ok: 0, refused: 0 }
  readonly #drains = { clean: 0, forced: 0, lost: 0 }
  readonly #durations = Object.fromEntries(
    STATES.map((state) => [state, { count: 0, total: 0, longest: 0 }]),
  ) as Record<LivingState, { count: number; total: number; longest: number }>

  exited(worker: WorkerProcess, { cause, code }: ExitInfo, now: number): void {
    const why = cause ?? worker.leaving
    if (why !== undefined && why !== 'stop') this.restarts[why] = (this.restarts[why] ?? 0) + 1
    if (worker.state === 'stopped') {
      if (worker.killed === undefined && code === 0) this.#drains.clean++
      else this.#drains.forced++
      this.#drains.lost += worker.lost
    }
    this.#measure(worker, now)
  }

  get drains(): DrainResult {
    return { ...this.#drains }
  }

  get durations(): Readonly<Record<LivingState, StateDurations>> {
    return structuredClone(this.#durations)
  }

  #measure(worker: WorkerProcess, now: number): void {
    const passed = STATES.map((state) => ({ state, at: worker.entered(state) })).filter(
      (step): step is { state: LivingState & WorkerState; at: number } => step.at !== undefined,
    )
    passed.sort((a, b) => a.at - b.at)
    for (const [i, { state, at }] of passed.entries()) {
      const lasted = (passed[i + 1]?.at ?? now) - at
      const sum = this.#durations[state]
      sum.count++
      sum.total += lasted
      sum.longest = Math.max(sum.longest, lasted)
    }
  }
}
