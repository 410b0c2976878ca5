import type { Statement } from './statement.js'
import { type StatementSnapshot, StatementStats, snapshotOf } from './statement-stats.js'

/** Statistics by form of statement: the first `limit` forms have their own, the rest share one. */
export class StatementStatsTable {
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
