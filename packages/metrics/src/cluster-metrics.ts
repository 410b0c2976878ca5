import cluster, { type Worker } from 'node:cluster'
import { type Closable, type CloseOptions, closeOnce, type Duration } from '@spillway/kit'
import { type Gathered, isMessage, type Message } from './messages.js'
import type { Exposition, Metrics } from './metrics.js'
import { resolveClusterOptions } from './options.js'
import { growing, merged, type Series, seriesOf } from './series.js'

export interface ClusterMetricsOptions {
  /** How long a slow worker is waited for; after that its last known counters stand in for it. Default `'1s'`. */
  readonly timeout?: Duration
  /** The primary's own figures, to be merged with the workers'. Default: none. */
  readonly metrics?: Metrics
}

interface Round {
  readonly pending: Set<number>
  readonly done: () => void
}

/**
 * The primary's end of the line: collects the workers' figures, merges them, and remembers what workers that are gone
 * have counted, so that a restart never makes a counter fall.
 */
export class ClusterMetrics implements Closable {
  readonly #timeout: number
  readonly #own: Metrics | undefined
  /** The last figures of each living worker. */
  readonly #latest = new Map<number, readonly Series[]>()
  readonly #rounds = new Map<number, Round>()
  readonly #onMessage = (worker: Worker, message: unknown): void => void this.#receive(worker, message)
  readonly #onExit = (worker: Worker): Promise<void> => this.#bury(worker.id)
  /** What the workers that are gone have counted, added up. */
  #buried: Promise<readonly Series[]> = Promise.resolve([])
  #nextRound = 1
  #gathering: Promise<Gathered> | undefined

  readonly close: (options?: CloseOptions) => Promise<void>

  constructor({ metrics, ...options }: ClusterMetricsOptions = {}) {
    this.#timeout = resolveClusterOptions(options).timeout
    this.#own = metrics
    cluster.on('message', this.#onMessage)
    cluster.on('exit', this.#onExit)
    for (const worker of living()) send(worker, { spillway: 'metrics', type: 'serving' })
    this.close = closeOnce(() => {
      cluster.off('message', this.#onMessage)
      cluster.off('exit', this.#onExit)
      for (const round of this.#rounds.values()) round.done()
    })
  }

  /** Everybody's figures, merged. Calls at the same time share one round. */
  gather(): Promise<Gathered> {
    this.#gathering ??= this.#collect().finally(() => {
      this.#gathering = undefined
    })
    return this.#gathering
  }

  /** What a scrape of the primary answers with. */
  async expose(): Promise<Exposition> {
    const registry = merged([(await this.gather()).series])
    return { contentType: registry.contentType, body: await registry.metrics() }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #collect(): Promise<Gathered> {
    const id = this.#nextRound++
    const workers = living()
    const pending = new Set(workers.map((worker) => worker.id))
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => done(), this.#timeout).unref()
      const done = (): void => {
        clearTimeout(timer)
        this.#rounds.delete(id)
        resolve()
      }
      this.#rounds.set(id, { pending, done })
      for (const worker of workers) send(worker, { spillway: 'metrics', type: 'collect', id })
      if (pending.size === 0) done()
    })
    const answered = workers.filter(({ id }) => !pending.has(id))
    const stale = workers.filter(({ id }) => pending.has(id))
    const registry = merged([
      ...answered.map(({ id }) => this.#latest.get(id) ?? []),
      ...stale.map(({ id }) => growing(this.#latest.get(id) ?? [])),
      await this.#buried,
      this.#own === undefined ? [] : await seriesOf(this.#own.registry),
    ])
    return { series: await seriesOf(registry), workers: answered.length, missing: stale.length }
  }

  async #receive(worker: Worker, message: unknown): Promise<void> {
    if (!isMessage(message)) return
    if (message.type === 'hello') send(worker, { spillway: 'metrics', type: 'serving' })
    else if (message.type === 'farewell') this.#latest.set(worker.id, message.series)
    else if (message.type === 'collected') {
      this.#latest.set(worker.id, message.series)
      const round = this.#rounds.get(message.id)
      if (round?.pending.delete(worker.id) && round.pending.size === 0) round.done()
    } else if (message.type === 'gather') {
      send(worker, { spillway: 'metrics', type: 'gathered', id: message.id, ...(await this.gather()) })
    }
  }

  async #bury(id: number): Promise<void> {
    const last = growing(this.#latest.get(id) ?? [])
    this.#latest.delete(id)
    for (const round of this.#rounds.values())
      if (round.pending.delete(id) && round.pending.size === 0) round.done()
    this.#buried = this.#buried.then((buried) => seriesOf(merged([buried, last])))
    await this.#buried
  }
}

/**
 * Collects the metrics of this primary's workers: call it once where the workers are forked, by `@spillway/cluster`
 * or by `node:cluster`. From then on every worker's `/metrics` answers for all of them.
 *
 * @throws TypeError | RangeError `ERR_METRICS_OPTION`
 */
export function serveClusterMetrics(options?: ClusterMetricsOptions): ClusterMetrics {
  return new ClusterMetrics(options)
}

function living(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected() === true) as Worker[]
}

/** A worker that dies in between is reported by its exit, not by its channel. */
function send(worker: Worker, message: Message): void {
  if (worker.isConnected()) worker.send(message, undefined, () => {})
}
