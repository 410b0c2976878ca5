import type { DrainResult, FleetPhase, RestartCause, WorkerInfo } from './events.js'
import type { Fleet } from './fleet/fleet.js'
import type { StateDurations } from './fleet/fleet-counters.js'
import type { Load } from './ipc/messages.js'
import type { LogOutputStats } from './logs/log-output.js'
import type { ResolvedSupervisorOptions } from './options.js'
import type { WorkerState } from './spawn/worker-state.js'

/** One worker in {@link SupervisorStats}. */
export interface WorkerStats extends WorkerInfo {
  readonly state: WorkerState
  /** Milliseconds since it was forked. */
  readonly age: number
  /** Milliseconds from the fork until it was ready. */
  readonly startup: number | undefined
  /** Why it is being replaced. */
  readonly outdated: string | undefined
  /** Its last report. */
  readonly load: Load | undefined
}

/** The result of `supervisor.stats()`. */
export interface SupervisorStats {
  readonly name: string
  readonly phase: FleetPhase
  readonly degraded: boolean
  readonly generation: number
  /** How many workers are wanted, and how many are ready. */
  readonly target: number
  readonly ready: number
  readonly listening: readonly string[]
  readonly workers: readonly WorkerStats[]
  /** Processes started so far. */
  readonly forks: number
  /** Workers that were replaced, by cause. */
  readonly restarts: Readonly<Partial<Record<RestartCause, number>>>
  readonly reloads: { readonly ok: number; readonly refused: number }
  readonly drains: DrainResult
  /** `undefined` when the workers write for themselves. */
  readonly logs: LogOutputStats | undefined
  /** Time spent in each state by the workers that are gone. */
  readonly durations: Readonly<Record<'starting' | 'ready' | 'suspect' | 'draining', StateDurations>>
}

/** The state of the fleet as plain data. */
export function snapshot({ name, clock }: ResolvedSupervisorOptions, fleet: Fleet): SupervisorStats {
  const now = clock.now()
  return {
    name,
    phase: fleet.phase,
    degraded: fleet.degraded,
    generation: fleet.generation,
    target: fleet.target,
    ready: fleet.ready,
    listening: [...fleet.readiness.addresses.keys()],
    workers: [...fleet.workers.values()].map((worker) => ({
      id: worker.id,
      pid: worker.pid,
      slot: worker.slot,
      generation: worker.generation,
      state: worker.state,
      age: now - worker.startedAt,
      startup: worker.readyAt === undefined ? undefined : worker.readyAt - worker.startedAt,
      outdated: worker.outdated,
      load: worker.load,
    })),
    forks: fleet.counters.forks,
    restarts: { ...fleet.counters.restarts },
    reloads: { ...fleet.counters.reloads },
    drains: fleet.counters.drains,
    logs: fleet.logs?.stats,
    durations: fleet.counters.durations,
  }
}
