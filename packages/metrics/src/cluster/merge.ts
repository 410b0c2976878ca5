import {
  labelKey,
  MOST_CHARACTERS,
  MOST_VALUES,
  type Series,
  type SeriesValue,
  valueKey,
} from '../series/series.js'

/** How much more a merge may take in. */
interface Room {
  values: number
  characters: number
}

/** Accumulator of one value. */
interface Sum {
  readonly labels: SeriesValue['labels']
  readonly metricName: string | undefined
  value: number
  /** Processes that the value came from. */
  count: number
}

type Step = (sum: number, value: number) => number

const STEPS: Readonly<Record<Exclude<Series['aggregator'], 'omit'>, Step>> = {
  sum: (sum, value) => sum + value,
  average: (sum, value) => sum + value,
  min: Math.min,
  max: Math.max,
  first: (first) => first,
}

/** Accumulator of one metric over all processes. */
class MetricMerge {
  readonly #sums = new Map<string, Sum>()
  readonly #step: Step

  constructor(
    readonly head: Series,
    aggregator: keyof typeof STEPS,
  ) {
    this.#step = STEPS[aggregator]
  }

  /** Whether a series has the type and the aggregator of the first one; others of this name are left out. */
  takes({ type, aggregator }: Series): boolean {
    return type === this.head.type && aggregator === this.head.aggregator
  }

  /** Adds the values; those that are new, as far as there is room for them. */
  add(values: readonly SeriesValue[], room: Room): void {
    for (const one of values) {
      const { value, labels, metricName } = one
      const key = valueKey(one)
      const sum = this.#sums.get(key)
      if (sum !== undefined) {
        sum.value = this.#step(sum.value, value)
        sum.count++
      } else if (room.values > 0 && room.characters > 0) {
        this.#sums.set(key, { labels, metricName, value, count: 1 })
        room.values--
        room.characters -= key.length
      }
    }
  }

  result(): Series {
    const averages = this.head.aggregator === 'average'
    const values = [...this.#sums.values()].map(({ labels, metricName, value, count }) => ({
      value: finite(averages ? value / count : value),
      labels,
      ...(metricName === undefined ? {} : { metricName }),
    }))
    return { ...this.head, values }
  }
}

/**
 * Merges the series of several processes into one set. Counters and histograms add up. A gauge is summed or averaged, or its
 * least or greatest value is taken, as its aggregator says. A ratio is computed again from the merged counters.
 */
export function merge(processes: readonly (readonly Series[])[]): Series[] {
  const byName = new Map<string, MetricMerge>()
  const room: Room = { values: MOST_VALUES, characters: MOST_CHARACTERS }
  for (const all of processes) {
    for (const series of all) {
      const { name, aggregator } = series
      if (aggregator === 'omit') continue
      let metric = byName.get(name)
      if (metric === undefined) byName.set(name, (metric = new MetricMerge(series, aggregator)))
      if (metric.takes(series)) metric.add(series.values, room)
    }
  }
  const merged = new Map([...byName].map(([name, metric]) => [name, metric.result()]))
  return [...merged.values()].map((series) =>
    series.ratio === undefined ? series : recomputed(series, merged),
  )
}

function recomputed(series: Series, all: ReadonlyMap<string, Series>): Series {
  const { of, to } = series.ratio!
  const [parts, wholes] = [sumsOf(of, all), sumsOf(to, all)]
  const values = series.values.map(({ labels }) => {
    const key = labelKey(labels)
    const whole = wholes.get(key) ?? 0
    return { labels, value: whole > 0 ? (parts.get(key) ?? 0) / whole : 0 }
  })
  return { ...series, values }
}

function sumsOf(names: readonly string[], all: ReadonlyMap<string, Series>): Map<string, number> {
  const sums = new Map<string, number>()
  for (const name of names) {
    for (const { labels, value } of all.get(name)?.values ?? []) {
      const key = labelKey(labels)
      sums.set(key, (sums.get(key) ?? 0) + value)
    }
  }
  return sums
}

/** Two figures that are finite may add up to one that is not, which JSON does not carry. */
function finite(value: number): number {
  return Math.min(Math.max(value, -Number.MAX_VALUE), Number.MAX_VALUE)
}
