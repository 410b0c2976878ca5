import { Histogram } from './histogram.js'

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

export function snapshotOf({ statement, run, errors, rows, waited }: StatementStats): StatementSnapshot {
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
