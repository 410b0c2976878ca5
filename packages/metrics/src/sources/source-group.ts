import { Counter, Gauge, type Registry } from 'prom-client'
import type { DroppedCounter } from '../series/dropped-counter.js'
import { labelKey, type Ratio } from '../series/series.js'
import { type Figure, ratiosOf, SnapshotReader, type StatsSchema } from './snapshot-reader.js'

/** Any object with `stats()`: every long-lived Spillway object, or one of yours. */
export interface Source {
  stats(): object
}

/** A source and its last figures. */
interface Watched {
  readonly source: Source
  readonly name: string
  figures: readonly Figure[]
  /** The last values of its counters, by name and labels. */
  readonly counted: Map<string, number>
}

/** Accumulator of one gauge over the sources of one name. */
interface GaugeValue {
  readonly labels: Figure['labels']
  value: number
  count: number
}

const MOST_FIGURES = 5_000
const MOST_SERIES = 5_000

/** A gauge of a ratio. It names its counters, so that the ratio can be computed again where processes are merged. */
class RatioGauge extends Gauge {
  ratio: Ratio | undefined

  override async get(): ReturnType<Gauge['get']> {
    return Object.assign(await super.get(), { ratio: this.ratio })
  }
}

/**
 * Collector for one kind of source (`cache`, `mysql`, ...): copies the snapshots of its sources into metrics. The growth of a
 * source's counter is added to the exported one, which therefore never falls: not when a source is removed, fails, or starts
 * again from 0.
 */
export class SourceGroup {
  /** The sources. Two with the same name are merged. */
  readonly #sources = new Map<Source, Watched>()
  readonly #counters = new Map<string, Counter>()
  readonly #gauges = new Map<string, RatioGauge>()
  /** The labels and sums of each counter, for the shares that are made of them. */
  readonly #sums = new Map<string, Map<string, GaugeValue>>()
  readonly #ratios: readonly (Ratio & { readonly name: string })[]
  readonly #reader: SnapshotReader
  readonly #failures: Counter
  #series = 0

  constructor(
    readonly kind: string,
    schema: StatsSchema,
    readonly registry: Registry,
    readonly dropped: DroppedCounter,
  ) {
    this.#reader = new SnapshotReader(schema)
    this.#ratios = ratiosOf(schema).map(({ name, of, to }) => ({
      name: this.#full(name),
      of: of.map((part) => this.#full(part)),
      to: to.map((part) => this.#full(part)),
    }))
    this.#failures = failuresOf(registry)
  }

  get size(): number {
    return this.#sources.size
  }

  add(source: Source, name: string): void {
    this.#sources.set(source, { source, name, figures: [], counted: new Map() })
    this.refresh()
  }

  /** Its gauges disappear with the next scrape; its counters stay. */
  remove(source: Source): void {
    this.refresh()
    this.#sources.delete(source)
  }

  /** Reads every source again. A source that throws keeps its last figures, and its failure is counted. */
  refresh(): void {
    const levels = new Map<string, Map<string, GaugeValue & { readonly kind: Figure['kind'] }>>()
    for (const watched of this.#sources.values()) {
      if (this.#read(watched)) this.#count(watched)
      for (const { name, kind, labels, value } of watched.figures) {
        if (kind === 'counter' || kind === 'ratio') continue
        const full = this.#full(name)
        const own = { name: watched.name, ...labels }
        const ofName = levels.get(full) ?? new Map()
        levels.set(full, ofName)
        const key = labelKey(own)
        const level = ofName.get(key)
        if (level === undefined) ofName.set(key, { labels: own, kind, value, count: 1 })
        else if (level.kind === kind) {
          level.value = combine(kind, level.value, value)
          level.count++
        }
      }
    }
    for (const gauge of this.#gauges.values()) gauge.reset()
    for (const [name, ofName] of levels) {
      for (const { labels, kind, value, count } of ofName.values()) {
        this.#set(name, kind, labels, kind === 'average' ? value / count : value)
      }
    }
    for (const ratio of this.#ratios) this.#setRatio(ratio)
  }

  /** Takes the metrics out of the registry. */
  clear(): void {
    this.#sources.clear()
    for (const name of [...this.#counters.keys(), ...this.#gauges.keys()])
      this.registry.removeSingleMetric(name)
    this.#counters.clear()
    this.#gauges.clear()
    this.#sums.clear()
  }

  /** Reads one source; false when it failed. This runs code of the app, which may throw or return anything. */
  #read(watched: Watched): boolean {
    try {
      const snapshot: unknown = watched.source.stats()
      if (typeof snapshot !== 'object' || snapshot === null) throw new TypeError('stats() gave no object')
      if (snapshot instanceof Promise) {
        snapshot.catch(() => {})
        throw new TypeError('stats() gave a promise')
      }
      const figures: Figure[] = []
      for (const figure of this.#reader.read(snapshot)) {
        if (figures.length >= MOST_FIGURES) {
          this.dropped.note(this.#full('figures'))
          break
        }
        figures.push(figure)
      }
      watched.figures = figures
      return true
    } catch {
      this.#failures.inc({ kind: this.kind, name: watched.name })
      return false
    }
  }

  #count({ name: source, figures, counted }: Watched): void {
    for (const { name, kind, labels, value } of figures) {
      if (kind !== 'counter' || value < 0) continue
      const key = `${name}\u0002${labelKey(labels)}`
      const before = counted.get(key)
      if (before === undefined && counted.size >= MOST_FIGURES) continue
      counted.set(key, value)
      // A counter that is smaller than before has started again from 0.
      const grown = before === undefined || value < before ? value : value - before
      this.#addTo(this.#full(name), { name: source, ...labels }, grown)
    }
  }

  #addTo(name: string, labels: Figure['labels'], by: number): void {
    const sums = this.#sums.get(name) ?? new Map<string, GaugeValue>()
    const key = labelKey(labels)
    const sum = sums.get(key)
    if (sum === undefined && this.#series >= MOST_SERIES) {
      this.dropped.note(name)
      return
    }
    try {
      const counter = this.#counters.get(name) ?? new Counter(this.#config(name, labels))
      this.#counters.set(name, counter)
      counter.inc(labels, by)
    } catch {
      // Another metric has this name, or this metric has other label names.
      this.dropped.note(name)
      return
    }
    this.#sums.set(name, sums)
    if (sum !== undefined) sum.value += by
    else {
      sums.set(key, { labels, value: by, count: 1 })
      this.#series++
    }
  }

  #set(name: string, kind: Figure['kind'], labels: Figure['labels'], value: number, ratio?: Ratio): void {
    try {
      let gauge = this.#gauges.get(name)
      if (gauge === undefined) {
        const aggregator = kind === 'ratio' ? 'average' : (kind as 'sum')
        gauge = new RatioGauge({ ...this.#config(name, labels), aggregator })
        gauge.ratio = ratio
        this.#gauges.set(name, gauge)
      }
      gauge.set(labels, value)
    } catch {
      this.dropped.note(name)
    }
  }

  #setRatio({ name, of, to }: Ratio & { readonly name: string }): void {
    const wholes = new Map<string, GaugeValue>()
    for (const part of to) {
      for (const [key, { labels, value }] of this.#sums.get(part) ?? []) {
        const whole = wholes.get(key)
        if (whole === undefined) wholes.set(key, { labels, value, count: 1 })
        else whole.value += value
      }
    }
    for (const [key, { labels, value: whole }] of wholes) {
      const part = of.reduce((sum, one) => sum + (this.#sums.get(one)?.get(key)?.value ?? 0), 0)
      this.#set(name, 'ratio', labels, whole > 0 ? part / whole : 0, { of, to })
    }
  }

  #full(name: string): string {
    return `spillway_${this.kind}_${name}`
  }

  #config(name: string, labels: Figure['labels']) {
    const figure = name.slice(`spillway_${this.kind}_`.length)
    return {
      name,
      help: `${figure.replaceAll('_', ' ')}: from stats() of ${this.kind}`,
      labelNames: Object.keys(labels),
      registers: [this.registry],
    }
  }
}

function combine(kind: Figure['kind'], one: number, other: number): number {
  if (kind === 'max') return Math.max(one, other)
  return kind === 'min' ? Math.min(one, other) : one + other
}

const FAILURES = 'spillway_source_errors_total'

/** One counter for all groups of a registry. */
function failuresOf(registry: Registry): Counter {
  const known = registry.getSingleMetric(FAILURES)
  if (known !== undefined) return known as Counter
  return new Counter({
    name: FAILURES,
    help: 'Times that stats() of a source failed: its last figures stand',
    labelNames: ['kind', 'name'],
    registers: [registry],
  })
}
