import { AggregatorRegistry, type Registry } from 'prom-client'

/** One metric with its values, in the JSON form of prom-client: what processes send each other. */
export interface Series {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly aggregator: 'sum' | 'first' | 'min' | 'max' | 'average' | 'omit'
  readonly values: readonly SeriesValue[]
}

export interface SeriesValue {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  /** Of a histogram or summary: `<name>_bucket`, `<name>_sum` or `<name>_count`. */
  readonly metricName?: string
}

/** Everything a registry holds now, without the values that JSON between processes cannot carry (NaN, Infinity). */
export async function seriesOf(registry: Registry): Promise<Series[]> {
  const all: readonly object[] = await registry.getMetricsAsJSON()
  return (all as readonly Series[]).map((series) => ({
    ...series,
    values: series.values.filter(({ value }) => Number.isFinite(value)),
  }))
}

/**
 * One registry out of many processes' series: counters and histograms add up; gauges add up, or are averaged, or the
 * greatest is taken, as each metric's aggregator says.
 */
export function merged(processes: readonly (readonly Series[])[]): Registry {
  return AggregatorRegistry.aggregate(processes.map((series) => [...series]))
}

/** Those that must outlive the process that counted them: a counter that falls looks like a restart to Prometheus. */
export function growing(series: readonly Series[]): Series[] {
  return series.filter(({ type }) => type === 'counter' || type === 'histogram')
}
