import { Registry } from 'prom-client'

/** One metric with its values, in the JSON form of prom-client: what processes send each other. */
export interface Series {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly aggregator: 'sum' | 'first' | 'min' | 'max' | 'average' | 'omit'
  readonly values: readonly SeriesValue[]
  /** For a ratio: its counters. After a merge the ratio is computed again from their sums. */
  readonly ratio?: Ratio | undefined
}

export interface SeriesValue {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  /** Of a histogram or summary: `<name>_bucket`, `<name>_sum` or `<name>_count`. */
  readonly metricName?: string | undefined
}

/** A ratio: the sum of the counters `of`, divided by the sum of the counters `to`. Both list names of metrics. */
export interface Ratio {
  readonly of: readonly string[]
  readonly to: readonly string[]
}

/** Limit of the values that one process may send, and of a merge. */
export const MOST_VALUES = 50_000

/** Limit of the characters in their labels: 16 million. */
export const MOST_CHARACTERS = 16 * 1024 ** 2

/** Everything a registry holds now, without the values that JSON between processes cannot carry (NaN, Infinity). */
export async function seriesOf(registry: Registry): Promise<Series[]> {
  const all: readonly object[] = await registry.getMetricsAsJSON()
  return (all as readonly Series[]).map((series) => ({
    ...series,
    values: series.values.filter(({ value }) => Number.isFinite(value)),
  }))
}

/** Counters and histograms: their values must outlive the process, since Prometheus reads a counter that falls as a restart. */
export function cumulative(series: readonly Series[]): Series[] {
  return series.filter(({ type }) => type === 'counter' || type === 'histogram')
}

/** A registry over these series, which prom-client can write as text. */
export function registryOf(all: readonly Series[]): Registry {
  const registry = new Registry()
  for (const series of all) registry.registerMetric({ ...series, get: () => series } as never)
  return registry
}

/** Tells a value from the others of its metric: the part of a histogram or summary that it is, and its labels. */
export function valueKey({ labels, metricName }: SeriesValue): string {
  return `${metricName ?? ''}\u0002${labelKey(labels)}`
}

/** The labels as one string that does not depend on their order. */
export function labelKey(labels: Readonly<Record<string, string | number>>): string {
  const names = Object.keys(labels)
  if (names.length > 1) names.sort()
  let key = ''
  for (const name of names) key += `${name}\u0000${labels[name]}\u0001`
  return key
}
