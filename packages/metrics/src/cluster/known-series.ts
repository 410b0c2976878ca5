import { MOST_VALUES, type Series, type SeriesValue, valueKey } from '../series/series.js'

/** The values of one metric that came after the full figures. */
interface Changes {
  readonly head: Series
  readonly values: Map<string, SeriesValue>
}

/** A snapshot with a log of changes: the last full figures of a process, and the counters that it has reported since. */
export class KnownSeries {
  #full: readonly Series[] = []
  readonly #changes = new Map<string, Changes>()
  #room = MOST_VALUES

  /** All figures, as the process gave them when it was asked. */
  replace(series: readonly Series[]): void {
    this.#full = series
    this.#changes.clear()
    this.#room = MOST_VALUES
  }

  /** Counters that have changed, with their new values. */
  update(changed: readonly Series[]): void {
    for (const head of changed) {
      let changes = this.#changes.get(head.name)
      if (changes === undefined) this.#changes.set(head.name, (changes = { head, values: new Map() }))
      for (const value of head.values) {
        const key = valueKey(value)
        if (!changes.values.has(key) && this.#room-- <= 0) return
        changes.values.set(key, value)
      }
    }
  }

  /** The newest figures that are known. */
  get series(): readonly Series[] {
    if (this.#changes.size === 0) return this.#full
    const names = new Set(this.#full.map(({ name }) => name))
    const fresh = [...this.#changes.values()].filter(({ head }) => !names.has(head.name))
    return [
      ...this.#full.map((series) => changedBy(series, this.#changes.get(series.name))),
      ...fresh.map(({ head, values }) => ({ ...head, values: [...values.values()] })),
    ]
  }
}

function changedBy(series: Series, changes: Changes | undefined): Series {
  if (changes === undefined || changes.head.type !== series.type) return series
  const added = new Map(changes.values)
  const values = series.values.map((value) => {
    const key = valueKey(value)
    const newer = added.get(key)
    added.delete(key)
    return newer ?? value
  })
  return { ...series, values: [...values, ...added.values()] }
}
