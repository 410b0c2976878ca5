import { Counter, Gauge, type Registry } from 'prom-client'
import { type Figure, SnapshotReader, type StatsSchema } from './schema.js'

/** Anything that can say how it is: every long-lived Spillway object, or one of yours. */
export interface Source {
  stats(): object
}

/** Keeps the metrics of one kind of source (`cache`, `mysql`, ...) in step with the snapshots of its sources. */
export class SourceGroup {
  /** By the name that tells them apart. Two of one name add up. */
  readonly #sources = new Map<Source, string>()
  readonly #metrics = new Map<string, Counter | Gauge>()
  readonly #reader: SnapshotReader

  constructor(
    readonly kind: string,
    schema: StatsSchema,
    readonly registry: Registry,
  ) {
    this.#reader = new SnapshotReader(schema)
  }

  get size(): number {
    return this.#sources.size
  }

  add(source: Source, name: string): void {
    this.#sources.set(source, name)
    this.refresh()
  }

  /** The source's figures disappear with the next scrape. */
  remove(source: Source): void {
    this.#sources.delete(source)
  }

  /** Reads every source again. One that fails to answer is left out of this scrape; the others are not harmed. */
  refresh(): void {
    for (const metric of this.#metrics.values()) metric.reset()
    for (const [source, name] of this.#sources) {
      let snapshot: object
      try {
        snapshot = source.stats()
      } catch {
        continue
      }
      for (const figure of this.#reader.read(snapshot)) this.#export(figure, name)
    }
  }

  /** Takes the metrics out of the registry. */
  clear(): void {
    this.#sources.clear()
    for (const name of this.#metrics.keys()) this.registry.removeSingleMetric(name)
    this.#metrics.clear()
  }

  #export(figure: Figure, source: string): void {
    const labels = { name: source, ...figure.labels }
    const name = `spillway_${this.kind}_${figure.name}`
    let metric = this.#metrics.get(name)
    if (metric === undefined) {
      const config = {
        name,
        help: `${figure.name.replaceAll('_', ' ')}: from stats() of ${this.kind}`,
        labelNames: Object.keys(labels),
        registers: [this.registry],
      }
      metric =
        figure.kind === 'counter' ? new Counter(config) : new Gauge({ ...config, aggregator: figure.kind })
      this.#metrics.set(name, metric)
    }
    metric.inc(labels, figure.value)
  }
}
