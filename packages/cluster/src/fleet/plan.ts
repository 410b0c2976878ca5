import type { WorkerState } from '../spawn/worker-state.js'

/** A worker, as far as {@link plan} needs to know it. */
export interface PlannedWorker {
  readonly id: number
  readonly state: WorkerState
  /** To be replaced: of an old generation, over its memory mark, too old, or by its own wish. */
  readonly outdated: boolean
}

/** The input of {@link plan}. */
export interface Situation {
  /** In the order in which they were forked. */
  readonly workers: readonly PlannedWorker[]
  /** How many ready, current workers there should be. */
  readonly target: number
  /** How many more than `target` may run while some are being replaced. */
  readonly surge: number
  /** Places of crashed workers that must stay empty for now (back-off). */
  readonly held: number
  readonly stopping: boolean
}

/** The output of {@link plan}. */
export interface Plan {
  /** How many to fork now. */
  readonly fork: number
  /** The ids of the workers to drain now. */
  readonly drain: readonly number[]
}

/**
 * What to do next, as a pure function of the situation: the one mechanism behind start, reload, scaling, crashes and
 * recycling. Its invariant is "as many ready workers as wanted, replacements first": a worker is told to leave only
 * when enough others are ready.
 */
export function plan({ workers, target, surge, held, stopping }: Situation): Plan {
  const living = workers.filter(
    ({ state }) => state === 'starting' || state === 'ready' || state === 'suspect',
  )
  if (stopping) return { fork: 0, drain: living.map(({ id }) => id) }

  const current = living.filter(({ outdated }) => !outdated)
  const outdated = living.filter((worker) => worker.outdated)
  const ready = living.filter(({ state }) => state === 'ready')

  const drain = outdated.filter(({ state }) => state === 'starting')
  const spare = Math.max(0, ready.length - target)
  drain.push(...outdated.filter(({ state }) => state === 'ready').slice(0, spare))
  // A suspect worker may not serve, but it is kept until enough ready workers are there.
  if (ready.length >= target) drain.push(...outdated.filter(({ state }) => state === 'suspect'))
  const excess = Math.max(0, current.length - target)
  drain.push(...[...current].reverse().sort(leastUsefulFirst).slice(0, excess))

  const left = living.length - drain.length
  const missing = target - current.length - held
  const room = target + (outdated.length > 0 ? surge : 0) - left
  const fork = Math.max(0, Math.min(missing, room))
  return { fork, drain: drain.map(({ id }) => id) }
}

const USEFULNESS = { starting: 0, suspect: 1, ready: 2, draining: 3, stopped: 3, failed: 3 } as const

/** Among equals the youngest leaves first, which the order of the list says. */
function leastUsefulFirst(a: PlannedWorker, b: PlannedWorker): number {
  return USEFULNESS[a.state] - USEFULNESS[b.state]
}
