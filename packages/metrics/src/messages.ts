import { count, type Field, INVALID, listOf, maybe, messages, number, text } from '@spillway/kit/message'
import { MOST_VALUES, type Ratio, type Series, type SeriesValue } from './series.js'

/** The figures of several processes, merged. */
export interface Gathered {
  /** When, in milliseconds since 1970. */
  readonly at: number
  readonly series: readonly Series[]
  /** Workers whose figures are in it. */
  readonly workers: number
  /** Workers that did not answer in time: their last known counters are in it. */
  readonly missing: number
}

/** Names one `Metrics` of one process: a worker may have several. */
const link = text(36)
const id = count()
const MOST_METRICS = 5_000
const MOST_LABELS = 32
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,255}$/
/** Names that begin with two underscores belong to Prometheus. */
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,127}$/
const MOST_TEXT = 2_048

const TYPES: readonly unknown[] = ['counter', 'gauge', 'histogram', 'summary']
const AGGREGATORS: readonly unknown[] = ['sum', 'first', 'min', 'max', 'average', 'omit']

/**
 * The figures of a process. A metric that is none, or a value that is none, is left out and the rest is taken: it is left
 * out of every message, so no counter falls by it.
 */
const series: Field<Series[]> = (raw) => {
  if (!Array.isArray(raw) || raw.length > MOST_METRICS) return INVALID
  const all: Series[] = []
  const names = new Set<string>()
  let room = MOST_VALUES
  for (const each of raw) {
    const one = metricOf(each, room)
    if (one === undefined || names.has(one.name)) continue
    names.add(one.name)
    room -= one.values.length
    all.push(one)
  }
  return all
}

/**
 * Between a worker and its primary, over the IPC channel of `node:cluster`.
 *
 * - `hello`, worker: I have figures. `serving`, primary: I collect them; whoever has not said hello says it now.
 *   `ended`, primary: I do not any more.
 * - `collect`, primary to those who said hello: give me yours; `collected`, the answer.
 * - `farewell`, worker, before it goes: what it counted.
 * - `gather`, worker: give me everybody's, no older than `maxAge`, since I was scraped; I have those of number `have`.
 *   `gathered`, the answer; without series when those are the newest.
 */
export const parse = messages('metrics', {
  hello: { link },
  serving: {},
  ended: {},
  collect: { id },
  collected: { link, id, series },
  farewell: { link, series },
  gather: { link, id, maxAge: number(0), have: count() },
  gathered: {
    link,
    id,
    number: count(),
    at: number(0),
    series: maybe(series),
    workers: count(),
    missing: count(),
  },
})

export type Message = NonNullable<ReturnType<typeof parse>>

/** prom-client keeps metrics in a plain object, where names such as `constructor` are taken. */
function isName(name: string): boolean {
  return METRIC_NAME.test(name) && !(name in Object.prototype)
}

function metricOf(raw: unknown, room: number): Series | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const { name, help, type, aggregator, values, ratio } = raw as Record<string, unknown>
  if (typeof name !== 'string' || !isName(name) || typeof help !== 'string') return undefined
  if (!TYPES.includes(type) || !AGGREGATORS.includes(aggregator) || !Array.isArray(values)) return undefined
  const kind = type as Series['type']
  const kept: SeriesValue[] = []
  for (const value of values) {
    if (kept.length >= room) break
    const one = numberOf(value, name, kind)
    if (one !== undefined) kept.push(one)
  }
  if (kind === 'histogram' && !isCumulative(kept, name)) return undefined
  const made = ratio === undefined ? undefined : ratioOf(ratio)
  return {
    name,
    help: help.slice(0, MOST_TEXT),
    type: kind,
    aggregator: aggregator as Series['aggregator'],
    values: kept,
    ...(made === undefined ? {} : { ratio: made }),
  }
}

function numberOf(raw: unknown, name: string, type: Series['type']): SeriesValue | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const { value, labels, metricName } = raw as Record<string, unknown>
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined
  const checked = labelsOf(labels)
  if (checked === undefined) return undefined
  if (type === 'counter' || type === 'gauge') {
    return metricName === undefined && (type === 'gauge' || value >= 0)
      ? { value, labels: checked }
      : undefined
  }
  const part = typeof metricName === 'string' ? metricName.slice(name.length) : ''
  if (metricName !== undefined && metricName !== name + part) return undefined
  const isBucket = type === 'histogram' && part === '_bucket'
  if (isBucket ? !isBound(checked.le) : type === 'histogram' && part !== '_sum' && part !== '_count')
    return undefined
  if (type === 'summary' && part !== '' && part !== '_sum' && part !== '_count') return undefined
  if ((isBucket || part === '_count') && value < 0) return undefined
  return metricName === undefined
    ? { value, labels: checked }
    : { value, labels: checked, metricName: name + part }
}

function labelsOf(raw: unknown): Record<string, string | number> | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const names = Object.keys(raw)
  if (names.length > MOST_LABELS) return undefined
  const labels: Record<string, string | number> = {}
  for (const name of names) {
    const value = (raw as Record<string, unknown>)[name]
    if (!LABEL_NAME.test(name)) return undefined
    if (typeof value === 'string' ? value.length > MOST_TEXT : !Number.isFinite(value)) return undefined
    labels[name] = value as string | number
  }
  return labels
}

function isBound(le: string | number | undefined): boolean {
  return le === '+Inf' || (le !== undefined && le !== '' && Number.isFinite(Number(le)))
}

/** Each bucket of a histogram holds what the one below it holds. */
function isCumulative(values: readonly SeriesValue[], name: string): boolean {
  let bound = Number.POSITIVE_INFINITY
  let below = 0
  for (const { value, labels, metricName } of values) {
    if (metricName !== `${name}_bucket`) {
      bound = Number.POSITIVE_INFINITY
      continue
    }
    const le = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le)
    // A smaller bound begins the buckets of the next labels.
    if (le > bound && value < below) return false
    bound = le
    below = value
  }
  return true
}

function ratioOf(raw: unknown): Ratio | undefined {
  const { of, to } = Object(raw) as Record<string, unknown>
  const parts = names(of)
  const wholes = names(to)
  if (parts === INVALID || wholes === INVALID) return undefined
  return { of: parts, to: wholes }
}

const names = listOf(text(256), 16)
