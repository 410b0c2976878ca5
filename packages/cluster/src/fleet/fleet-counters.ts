import type { DrainResult, ExitInfo, RestartCause } from '../events.js'
import type { WorkerProcess } from '../spawn/worker-process.js'
import type { WorkerState } from '../spawn/worker-state.js'

const STATES = ['starting', 'ready', 'suspect', 'draining'] as const
type LivingState = (typeof STATES)[number]

/** The time that workers have spent in one state. */
export interface StateDurations {
  /** How many workers came to this state. */
  readonly count: number
  /** Milliseconds, all workers together. */
  readonly total: number
  readonly longest: number
}

/** Different reasons that are counted one by one. */
const MOST_CAUSES = 64

/** Counters of the fleet: forks, restarts by cause, reloads, drains, and the time spent in each state. */
export class FleetCounters {
  forks = 0
  readonly #restarts = new Map<RestartCause, number>()
  readonly reloads = { ok: 0, refused: 0 }
  readonly #drains = { clean: 0, forced: 0, lost: 0 }
  readonly #durations = Object.fromEntries(
    STATES.map((state) => [state, { count: 0, total: 0, longest: 0 }]),
  ) as Record<LivingState, { count: number; total: number; longest: number }>

  exited(worker: WorkerProcess, { cause, code, signal }: ExitInfo, now: number): void {
    const why = cause ?? worker.leaving
    if (why !== undefined && why !== 'stop') this.#count(why)
    if (worker.state === 'stopped') {
      if (leftByItself(worker, code, signal)) this.#drains.clean++
      else this.#drains.forced++
      this.#drains.lost += worker.lost
    }
    this.#measure(worker, now)
  }

  get restarts(): Partial<Record<RestartCause, number>> {
    return Object.fromEntries(this.#restarts)
  }

  get drains(): DrainResult {
    return { ...this.#drains }
  }

  get durations(): Readonly<Record<LivingState, StateDurations>> {
    return structuredClone(this.#durations)
  }

  /** A worker may give any reason for its replacement: beyond some, they are one. */
  #count(why: RestartCause): void {
    const name = this.#restarts.has(why) || this.#restarts.size < MOST_CAUSES ? why : 'other'
    this.#restarts.set(name, (this.#restarts.get(name) ?? 0) + 1)
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

/**
 * Nothing was killed that had something to do. A handler of the app's own ends its process by the signal that it got, as
 * Nest's shutdown hooks do: after the drain that is an orderly end.
 */
function leftByItself(
  { killed, drained }: WorkerProcess,
  code: number | null,
  signal: NodeJS.Signals | null,
): boolean {
  if (killed !== undefined) return killed === 'early'
  return code === 0 || (drained && (signal === 'SIGTERM' || signal === 'SIGINT'))
}
