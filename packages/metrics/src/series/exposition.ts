import { registryOf, type Series } from './series.js'

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

/** What a scrape answers with. */
export interface Exposition {
  readonly contentType: string
  readonly body: string
}

export interface GatherOptions {
  /** How old the figures may be, in milliseconds: an earlier gathering of that age is used. Default 0: a new one. */
  readonly maxAge?: number
}

/** What can be scraped: a process's `Metrics`, or the primary's `ClusterMetrics`. */
export interface Scrapable {
  expose(options?: GatherOptions): Promise<Exposition>
  gather(options?: GatherOptions): Promise<Gathered>
}

const written = new WeakMap<Gathered, Promise<Exposition>>()

/** The text of a gathering, cached per gathering. */
export function expositionOf(gathered: Gathered): Promise<Exposition> {
  let exposition = written.get(gathered)
  if (exposition === undefined) {
    exposition = write(gathered)
    written.set(gathered, exposition)
  }
  return exposition
}

async function write({ series }: Gathered): Promise<Exposition> {
  const registry = registryOf(series)
  return { contentType: registry.contentType, body: await registry.metrics() }
}
