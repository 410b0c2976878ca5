import {
  boolean,
  type Check,
  type Duration,
  defineOptions,
  duration,
  list,
  number,
  optional,
  refuse,
  string,
} from '@spillway/kit'
import type { Registry } from 'prom-client'

export interface MetricsOptions {
  /** Labels on every series, such as `{ app: 'shop', region: 'eu' }`. Default: none. */
  readonly labels?: Readonly<Record<string, string>>
  /** Upper bounds of the request duration histogram, in **seconds**, ascending. Default: 1 ms to 10 s in 12 steps. */
  readonly buckets?: readonly number[]
  /** Node's own figures: event loop, garbage collection, memory, handles, CPU. Default `true`. */
  readonly processMetrics?: boolean
  /** Count the events that the other Spillway packages publish. Default `true`. */
  readonly events?: boolean
  /** A prom-client registry that the app already has. Default: a registry of its own. */
  readonly registry?: Registry
  /** Under a primary that serves the cluster's metrics: how long a scrape waits for slow workers. Default `'1s'`. */
  readonly timeout?: Duration
}

export const METRICS_DEFAULTS = Object.freeze({
  labels: Object.freeze({}),
  buckets: Object.freeze([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]),
  processMetrics: true,
  events: true,
  timeout: 1_000,
}) satisfies MetricsOptions

const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** Prometheus data model: label names are ASCII words; `le` and `quantile` belong to histograms and summaries. */
const labels: Check<Readonly<Record<string, string>>> = (value, place) => {
  const allowed = 'an object of label names (letters, digits, _) and string values'
  if (typeof value !== 'object' || value === null) refuse(TypeError, place, allowed, value)
  for (const [name, label] of Object.entries(value)) {
    if (!LABEL_NAME.test(name) || name === 'le' || name === 'quantile') {
      refuse(RangeError, { ...place, name: `${place.name}.${name}` }, 'a valid label name', name)
    }
    if (typeof label !== 'string')
      refuse(TypeError, { ...place, name: `${place.name}.${name}` }, 'a string', label)
  }
  return Object.freeze({ ...(value as Record<string, string>) })
}

const bounds: Check<readonly number[]> = (value, place) => {
  const numbers = list(number({ min: 0 }), { min: 1 })(value, place)
  if (numbers.some((bound, i) => i > 0 && bound <= numbers[i - 1]!)) {
    refuse(RangeError, place, 'ascending seconds', value)
  }
  return numbers
}

const registry: Check<Registry> = (value, place) => {
  if (typeof (value as Registry | null)?.getMetricsAsJSON !== 'function') {
    refuse(TypeError, place, 'a prom-client Registry', value)
  }
  return value as Registry
}

export const resolveOptions = defineOptions(
  'metrics',
  'Metrics',
  {
    labels,
    buckets: bounds,
    processMetrics: boolean,
    events: boolean,
    registry: optional(registry),
    timeout: duration({ min: 1 }),
  },
  METRICS_DEFAULTS,
)

export const resolveClusterOptions = defineOptions(
  'metrics',
  'serveClusterMetrics',
  { timeout: duration({ min: 1 }) },
  { timeout: METRICS_DEFAULTS.timeout },
)

export const path = string({ pattern: /^\/[^?#]*[^/?#]$/, like: "a path such as '/metrics'" })
