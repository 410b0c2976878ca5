import { type Field, INVALID, listOf, text } from '@spillway/kit/message'
import { labelText } from '../series/label.js'
import { MOST_CHARACTERS, MOST_VALUES, type Ratio, type Series, type SeriesValue } from '../series/series.js'

const MOST_METRICS = 5_000
const MOST_LABELS = 32
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,255}$/
/** Names that begin with two underscores belong to Prometheus. */
const LABEL_NAME = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,127}$/
const MOST_TEXT = 2_048

const TYPES: readonly unknown[] = ['counter', 'gauge', 'histogram', 'summary']
const AGGREGATORS: readonly unknown[] = ['sum', 'first', 'min', 'max', 'average', 'omit']

/**
 * Checks the figures of a process. A metric or a value that does not have the right form is left out, and the rest is taken:
 * it is left out of every message, so no counter falls by it. Values and characters have a limit: what is beyond it is left
 * out as well.
 */
export const seriesField: Field<Series[]> = (raw) => {
  if (!Array.isArray(raw) || raw.length > MOST_METRICS) return INVALID
  const all: Series[] = []
  const names = new Set<string>()
  const room: Room = { values: MOST_VALUES, characters: MOST_CHARACTERS }
  for (const each of raw) {
    const one = metricOf(each, room)
    if (one === undefined || names.has(one.name)) continue
    names.add(one.name)
    all.push(one)
  }
  return all
}

/** What may still be taken of a message. */
interface Room {
  values: number
  characters: number
}

/** prom-client keeps metrics in a plain object, where names such as `constructor` are taken. */
function isName(name: string): boolean {
  return METRIC_NAME.test(name) && !(name in Object.prototype)
}

function metricOf(raw: unknown, room: Room): Series | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const { name, help, type, aggregator, values, ratio } = raw as Record<string, unknown>
  if (typeof name !== 'string' || !isName(name) || typeof help !== 'string') return undefined
  if (!TYPES.includes(type) || !AGGREGATORS.includes(aggregator) || !Array.isArray(values)) return undefined
  const kind = type as Series['type']
  const kept: SeriesValue[] = []
  for (const value of values) {
    if (room.values <= 0 || room.characters <= 0) break
    const one = readValue(value, name, kind, room)
    if (one === undefined) continue
    kept.push(one)
    room.values--
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

function readValue(raw: unknown, name: string, type: Series['type'], room: Room): SeriesValue | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const { value, labels, metricName } = raw as Record<string, unknown>
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined
  const checked = labelsOf(labels, room)
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

function labelsOf(raw: unknown, room: Room): Record<string, string | number> | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const names = Object.keys(raw)
  if (names.length > MOST_LABELS) return undefined
  const labels: Record<string, string | number> = {}
  let characters = 0
  for (const name of names) {
    const value = (raw as Record<string, unknown>)[name]
    if (!LABEL_NAME.test(name)) return undefined
    if (typeof value === 'string' && value.length <= MOST_TEXT) {
      labels[name] = labelText(value, MOST_TEXT)
      characters += name.length + value.length
    } else if (typeof value === 'number' && Number.isFinite(value)) labels[name] = value
    else return undefined
  }
  room.characters -= characters
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
