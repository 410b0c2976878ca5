import { type StatementSnapshot, StatementStats, snapshotOf } from './statement-stats.js'

/** Statistics by form of statement: the first `limit` forms have their own, the rest share one. */
export class StatementStatsTable {
  readonly #limit: number
  readonly #byForm = new Map<string, StatementStats>()
  readonly #rest = new StatementStats('(others)')

  constructor(limit: number) {
    this.#limit = limit
  }

  of(fingerprint: string): StatementStats {
    const known = this.#byForm.get(fingerprint)
    if (known !== undefined) return known
    if (this.#byForm.size >= this.#limit) return this.#rest
    const stats = new StatementStats(fingerprint)
    this.#byForm.set(fingerprint, stats)
    return stats
  }

  /** The forms that took most time first. */
  snapshot(): StatementSnapshot[] {
    const all = [...this.#byForm.values(), this.#rest].filter(({ run, errors }) => run.count + errors > 0)
    return all.map(snapshotOf).sort((a, b) => b.totalMs - a.totalMs)
  }
}
