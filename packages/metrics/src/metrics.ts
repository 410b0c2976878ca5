import cluster from 'node:cluster'
import {
  anything,
  type Closable,
  type CloseOptions,
  closeOnce,
  defineOptions,
  misuse,
  optional,
  string,
} from '@spillway/kit'
import { Gauge, Registry } from 'prom-client'
import { WorkerLink } from './cluster/worker-link.js'
import { type MetricsOptions, resolveOptions } from './options.js'
import { countEvents } from './recording/events.js'
import { processGauges } from './recording/process-gauges.js'
import { RequestRecorder } from './recording/request-recorder.js'
import { DroppedCounter } from './series/dropped-counter.js'
import type { Gathered } from './series/exposition.js'
import { type Exposition, expositionOf, type GatherOptions } from './series/exposition.js'
import { MaxAgeCache } from './series/max-age-cache.js'
import { seriesOf } from './series/series.js'
import { SCHEMAS } from './sources/package-schemas.js'
import type { StatsSchema } from './sources/snapshot-reader.js'
import { type Source, SourceGroup } from './sources/source-group.js'

export interface WatchOptions {
  /** Value of the label `name` on its series; it tells two caches apart. Default `'default'`. */
  readonly name?: string
  /** How to read its figures. Default: the schema of the Spillway package of that kind; else every figure is a gauge. */
  readonly schema?: StatsSchema
}

export interface MetricsStats {
  /** Metrics in the registry. */
  readonly series: number
  /** Objects that are watched. */
  readonly sources: number
  /** Whether a primary collects this process's figures. */
  readonly collected: boolean
}

const resolveWatch = defineOptions(
  'metrics',
  'watch',
  { name: string(), schema: optional(anything) },
  { name: 'default' },
)

/**
 * Registry and exporter of the Prometheus figures of one process. Under a primary that called `serveClusterMetrics()`, each
 * worker answers a scrape with the figures of all workers.
 *
 * ```ts
 * const metrics = new Metrics()
 * metrics.watch('cache', cache)
 * ```
 *
 * @throws TypeError | RangeError `ERR_METRICS_OPTION`
 */
export class Metrics implements Closable {
  /** The prom-client registry, for metrics of your own. */
  readonly registry: Registry
  /** HTTP requests; the adapters record into it. */
  readonly requests: RequestRecorder
  readonly #groups = new Map<string, SourceGroup>()
  readonly #link: WorkerLink | undefined
  readonly #ownsRegistry: boolean
  readonly #stop: (() => void)[] = []
  readonly #dropped: DroppedCounter
  readonly #text = new MaxAgeCache(() => this.#write())
  readonly #figures = new MaxAgeCache(() => this.#read())

  /** Stops counting, tells the primary the last figures, and empties the registry unless it is yours. Idempotent. */
  readonly close: (options?: CloseOptions) => Promise<void>

  constructor(options: MetricsOptions = {}) {
    const resolved = resolveOptions(options)
    this.#ownsRegistry = resolved.registry === undefined
    this.registry = resolved.registry ?? new Registry()
    if (Object.keys(resolved.labels).length > 0) this.registry.setDefaultLabels({ ...resolved.labels })
    this.#dropped = new DroppedCounter(this.registry)
    this.#watchSources()
    this.requests = new RequestRecorder(this.registry, resolved.buckets, this.#dropped)
    if (resolved.processMetrics) this.#stop.push(processGauges(this.registry))
    if (resolved.events) this.#stop.push(countEvents(this.registry, this.#dropped))
    if (cluster.isWorker) this.#link = new WorkerLink(() => seriesOf(this.registry), resolved.timeout)
    this.close = closeOnce(() => this.#release())
  }

  /**
   * Exports the figures of anything with `stats()`, read anew at each scrape, as `spillway_<kind>_<figure>`. Returns a
   * function that ends it.
   *
   * @param kind `'cache'`, `'mysql'`, `'limiter'`, ... or a word of your own: lower case, digits, `_`
   * @throws TypeError | RangeError `ERR_METRICS_OPTION` | `ERR_METRICS_SOURCE`
   */
  watch(kind: string, source: Source, options: WatchOptions = {}): () => void {
    const { name } = resolveWatch(options)
    if (!/^[a-z][a-z0-9_]*$/.test(kind)) {
      throw misuse(
        RangeError,
        'ERR_METRICS_SOURCE',
        `A kind is lower-case letters, digits and _, not "${kind}"`,
      )
    }
    if (typeof source?.stats !== 'function') {
      throw misuse(TypeError, 'ERR_METRICS_SOURCE', `The source "${kind}" must have a method stats()`)
    }
    let group = this.#groups.get(kind)
    if (group === undefined) {
      group = new SourceGroup(kind, options.schema ?? SCHEMAS[kind] ?? {}, this.registry, this.#dropped)
      this.#groups.set(kind, group)
    }
    group.add(source, name)
    return () => group.remove(source)
  }

  /**
   * The figures of all workers where a primary collects them, else of this process alone.
   *
   * @throws MetricsUnavailableError (503) when the primary that collects them does not answer: a part is never given for
   * the whole
   */
  async gather({ maxAge = 0 }: GatherOptions = {}): Promise<Gathered> {
    return (await this.#link?.gather(maxAge)) ?? this.#figures.get(maxAge)
  }

  /**
   * What a scrape answers with, in the Prometheus text format.
   *
   * @throws MetricsUnavailableError (503) as {@link Metrics.gather}
   */
  async expose({ maxAge = 0 }: GatherOptions = {}): Promise<Exposition> {
    const everyone = await this.#link?.gather(maxAge)
    return everyone === undefined ? this.#text.get(maxAge) : expositionOf(everyone)
  }

  stats(): MetricsStats {
    const sources = [...this.#groups.values()].reduce((sum, { size }) => sum + size, 0)
    return {
      series: this.registry.getMetricsAsArray().length,
      sources,
      collected: this.#link?.collected ?? false,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #read(): Promise<Gathered> {
    return { at: Date.now(), series: await seriesOf(this.registry), workers: 1, missing: 0 }
  }

  async #write(): Promise<Exposition> {
    return { contentType: this.registry.contentType, body: await this.registry.metrics() }
  }

  /** Registered first, so that prom-client reads it first: each scrape begins by reading every source again. */
  #watchSources(): void {
    const groups = this.#groups
    new Gauge({
      name: 'spillway_sources',
      help: 'Objects whose stats() are exported',
      labelNames: ['kind'],
      registers: [this.registry],
      collect() {
        for (const group of groups.values()) {
          group.refresh()
          this.set({ kind: group.kind }, group.size)
        }
      },
    })
  }

  async #release(): Promise<void> {
    await this.#link?.close()
    for (const stop of this.#stop) stop()
    for (const group of this.#groups.values()) group.clear()
    if (this.#ownsRegistry) this.registry.clear()
  }
}
