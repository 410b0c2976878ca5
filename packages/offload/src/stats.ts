import type { RecordableHistogram } from 'node:perf_hooks'
import type { Outcome } from './jobs/outcome.js'
import type { TaskRunStats } from './jobs/task-run-stats.js'
import type { RunStats } from './scheduling/run-stats.js'
import type { ThreadPool } from './threads/thread-pool.js'

/** Milliseconds. */
export interface DurationStats {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

export interface TaskStats {
  readonly completed: number
  /** Calls that ended in any other way. */
  readonly failed: number
  readonly running: number
  readonly run: DurationStats
}

export interface OffloaderStats {
  readonly threads: {
    readonly max: number
    readonly alive: number
    readonly idle: number
    readonly booting: number
    /** Terminated but still in native code. */
    readonly stuck: number
    /** Started so far. */
    readonly started: number
    /** Replaced on purpose: after `recycleAfter` tasks, for memory, or after a module that failed to load. */
    readonly recycled: number
  }
  readonly queue: {
    readonly size: number
    /** `Infinity` when there is none. */
    readonly max: number
    /** Milliseconds that a call of normal priority would probably wait. */
    readonly expectedWait: number
  }
  /** Calls by how they ended. */
  readonly calls: Readonly<Record<Outcome, number>>
  /** From the call to the start in a thread. */
  readonly wait: DurationStats
  /** In the thread. */
  readonly run: DurationStats
  /** Share of the threads' time that was spent in tasks since the start, from 0 to 1. */
  readonly utilisation: number
  /** By the name of the function, `name (file)` when two modules have one of that name. */
  readonly tasks: Readonly<Record<string, TaskStats>>
}

/** What a snapshot is made of. */
export interface StatsSources {
  readonly threads: number
  readonly pool: ThreadPool
  readonly waiting: number
  readonly runs: RunStats
  readonly queueLimit: number
  readonly expectedWait: number
  readonly uptime: number
  readonly taskRuns: Iterable<TaskRunStats>
}

export function snapshot(of: StatsSources): OffloaderStats {
  return {
    threads: {
      max: of.threads,
      alive: of.pool.size,
      idle: of.pool.idle,
      booting: of.pool.booting,
      stuck: of.pool.stuck,
      started: of.pool.started,
      recycled: of.pool.recycled,
    },
    queue: { size: of.waiting, max: of.queueLimit, expectedWait: of.expectedWait },
    calls: { ...of.runs.counts },
    wait: summary(of.runs.wait),
    run: summary(of.runs.run),
    utilisation: of.uptime > 0 ? Math.min(1, of.runs.busyMs / (of.uptime * of.threads)) : 0,
    tasks: Object.fromEntries(Array.from(of.taskRuns, (taskRuns) => [taskRuns.label, statsOf(taskRuns)])),
  }
}

function statsOf({ completed, failed, running, run }: TaskRunStats): TaskStats {
  return { completed, failed, running, run: summary(run) }
}

/** Histograms hold whole microseconds. */
function summary(histogram: RecordableHistogram): DurationStats {
  const { count } = histogram
  if (count === 0) return { count, mean: 0, p50: 0, p90: 0, p99: 0, max: 0 }
  return {
    count,
    mean: histogram.mean / 1_000,
    p50: histogram.percentile(50) / 1_000,
    p90: histogram.percentile(90) / 1_000,
    p99: histogram.percentile(99) / 1_000,
    max: histogram.max / 1_000,
  }
}
