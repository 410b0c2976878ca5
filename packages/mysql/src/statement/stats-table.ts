import { Histogram } from './histogram.js'
import type { Statement } from './statement.js'

/** What is known of all runs of one form of statement. */
export class StatementStats {
  readonly run = new Histogram()
  rows = 0
  errors = 0
  /** Milliseconds spent waiting for a connection, in sum. */
  waited = 0
  /** When it was explained last. */
  explainedAt = Number.NEGATIVE_INFINITY

  constructor(readonly statement: string) {}
}

/** One row of `stats().statements`. Times are milliseconds. */
export interface StatementSnapshot {
  readonly statement: string
  readonly count: number
  readonly errors: number
  readonly rows: number
  readonly totalMs: number
  readonly waitedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Statistics by form of statement: the first `limit` forms have their own, the rest share one. */
export class Insight {
  readonly #limit: number
  readonly #byForm = new Map<string, StatementStats>()
  readonly #rest = new StatementStats('(others)')

  constructor(limit: number) {
    this.#limit = limit
  }

  of(statement: Statement): StatementStats {
    if (statement.stats !== undefined) return statement.stats
    let stats = this.#byForm.get(statement.fingerprint)
    if (stats === undefined) {
      if (this.#byForm.size >= this.#limit) stats = this.#rest
      else this.#byForm.set(statement.fingerprint, (stats = new StatementStats(statement.fingerprint)))
    }
    statement.stats = stats
    return stats
  }

  /** The forms that took most time first. */
  snapshot(): StatementSnapshot[] {
    const all = [...this.#byForm.values(), this.#rest].filter(({ run, errors }) => run.count + errors > 0)
    return all.map(snapshotOf).sort((a, b) => b.totalMs - a.totalMs)
  }
}

function snapshotOf({ statement, run, errors, rows, waited }: StatementStats): StatementSnapshot {
  return {
    statement,
    count: run.count,
    errors,
    rows,
    totalMs: run.sum,
    waitedMs: waited,
    p50Ms: run.quantile(0.5),
    p99Ms: run.quantile(0.99),
    maxMs: run.max,
  }
}
