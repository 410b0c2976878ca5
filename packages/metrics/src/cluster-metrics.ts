import cluster, { type Worker } from 'node:cluster'
import { type Closable, type CloseOptions, closeOnce, type Duration } from '@spillway/kit'
import { INVALID } from '@spillway/kit/message'
import { COLLECTED_BY } from './cluster/collected-by.js'
import { type Member, Members } from './cluster/member.js'
import { merge } from './cluster/merge.js'
import { type Message, parse } from './cluster/messages.js'
import { withoutRepeats } from './cluster/process-figures.js'
import { seriesField } from './cluster/series-field.js'
import type { Metrics } from './metrics.js'
import { resolveClusterOptions } from './options.js'
import type { Gathered } from './series/exposition.js'
import { type Exposition, expositionOf, type GatherOptions } from './series/exposition.js'
import { MaxAgeCache } from './series/max-age-cache.js'
import { cumulative, type Series, seriesOf } from './series/series.js'

export interface ClusterMetricsOptions {
  /** How long a scrape waits for a slow worker; then the worker's last known counters are used. Default `'1s'`. */
  readonly timeout?: Duration
  /** The primary's own figures, to be merged with the workers'. Default: none. */
  readonly metrics?: Metrics
}

interface CollectionRound {
  readonly pending: Set<Member>
  readonly done: () => void
}

/** A gathering and its number. A worker that has this number already gets no copy. */
interface NumberedGathering {
  readonly number: number
  readonly gathered: Gathered
}

/** Metrics with the worker's own label. They are not kept when the worker ends: each restart would add series. */
const OF_ONE_PROCESS = /^spillway_process_/

/**
 * Aggregator in the primary: collects the workers' figures, merges them, and keeps the counters of workers that have ended, so
 * that a restart never makes a counter fall.
 */
export class ClusterMetrics implements Closable {
  readonly #timeout: number
  readonly #own: Metrics | undefined
  readonly #members = new Members()
  readonly #rounds = new Map<number, CollectionRound>()
  readonly #gatherings = new MaxAgeCache(() => this.#collect())
  readonly #onMessage = (worker: Worker, message: unknown): void => void this.#receive(worker, message)
  readonly #onExit = (worker: Worker): void => this.#exited(worker)
  /** The counters of workers that have ended, added up. */
  #retired: readonly Series[] = []
  #ownSeries: readonly Series[] = []
  #round = 0

  readonly close: (options?: CloseOptions) => Promise<void>

  constructor({ metrics, ...options }: ClusterMetricsOptions = {}) {
    this.#timeout = resolveClusterOptions(options).timeout
    this.#own = metrics
    cluster.on('message', this.#onMessage)
    cluster.on('exit', this.#onExit)
    process.env[COLLECTED_BY] = String(process.pid)
    broadcast({ spillway: 'metrics', type: 'serving' })
    this.close = closeOnce(() => {
      cluster.off('message', this.#onMessage)
      cluster.off('exit', this.#onExit)
      delete process.env[COLLECTED_BY]
      broadcast({ spillway: 'metrics', type: 'ended' })
      for (const round of this.#rounds.values()) round.done()
    })
  }

  /** The figures of all workers, merged. Calls at the same time share one round. */
  async gather({ maxAge = 0 }: GatherOptions = {}): Promise<Gathered> {
    return (await this.#gatherings.get(maxAge)).gathered
  }

  /** What a scrape of the primary answers with. */
  async expose(options?: GatherOptions): Promise<Exposition> {
    return expositionOf(await this.gather(options))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #collect(): Promise<NumberedGathering> {
    const number = ++this.#round
    const asked = [...this.#members].filter(({ connected }) => connected)
    const pending = new Set(asked)
    await this.#ask(number, pending)
    this.#dropUnresponsive(asked, pending)
    const own = await this.#readOwn()
    // Read without an await in between: a worker that ends meanwhile is a member or retired, never both.
    const silent = [...this.#members].filter((member) => pending.has(member) || !asked.includes(member))
    const answered = asked.filter((member) => !pending.has(member) && this.#isMember(member))
    const series = merge([
      ...figuresByWorker(answered),
      ...figuresByWorker(silent).map(cumulative),
      this.#retired,
      own,
    ])
    const gathered = {
      at: Date.now(),
      series,
      workers: workersOf(answered),
      missing: workersOf([...pending]),
    }
    return { number, gathered }
  }

  /** Removes instances that did not answer although another one of their worker did: they are not waited for again. */
  #dropUnresponsive(asked: readonly Member[], pending: Set<Member>): void {
    const alive = new Set(asked.filter((member) => !pending.has(member)).map(({ worker }) => worker))
    for (const member of pending) {
      if (!alive.has(member.worker) || !this.#members.remove(member)) continue
      pending.delete(member)
      this.#retire([member])
    }
  }

  #ask(id: number, pending: Set<Member>): Promise<void> {
    if (pending.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#rounds.delete(id)
        resolve()
      }
      // After a pause of this process the timer is late, and answers wait in the channels: `setImmediate` reads them first.
      const timer = setTimeout(() => setImmediate(done), this.#timeout).unref()
      this.#rounds.set(id, { pending, done })
      for (const worker of new Set([...pending].map(({ worker }) => worker))) {
        send(worker, { spillway: 'metrics', type: 'collect', id })
      }
    })
  }

  /** The primary's own figures. When a metric of the app fails, the last ones are used: the workers' must still be answered. */
  async #readOwn(): Promise<readonly Series[]> {
    if (this.#own === undefined) return []
    try {
      const series = seriesField(await seriesOf(this.#own.registry))
      if (series !== INVALID) this.#ownSeries = series
    } catch {
      // The last figures are used.
    }
    return this.#ownSeries
  }

  #receive(worker: Worker, raw: unknown): void {
    const message = parse(raw)
    if (message === undefined) return
    if (message.type === 'hello') {
      if (this.#members.add(worker, message.link)) send(worker, { spillway: 'metrics', type: 'serving' })
    } else if (message.type === 'farewell') {
      const member = this.#members.find(worker, message.link)
      if (member === undefined) return
      member.known.replace(message.series)
      this.#members.remove(member)
      this.#retire([member])
    } else if (message.type === 'collected') {
      const member = this.#members.find(worker, message.link)
      if (member === undefined) return
      member.known.replace(message.series)
      this.#onAnswered(member, this.#rounds.get(message.id))
    } else if (message.type === 'report')
      this.#members.find(worker, message.link)?.known.update(message.series)
    else if (message.type === 'gather') void this.#answer(worker, message)
  }

  async #answer(worker: Worker, { link, id, maxAge, have }: Message & { type: 'gather' }): Promise<void> {
    const { number, gathered } = await this.#gatherings.get(maxAge)
    const { series, ...rest } = gathered
    const head = { spillway: 'metrics', type: 'gathered', link, id, number, ...rest } as const
    send(worker, have === number ? { ...head, series: undefined } : { ...head, series: [...series] })
  }

  #onAnswered(member: Member, round: CollectionRound | undefined): void {
    if (round?.pending.delete(member) && round.pending.size === 0) round.done()
  }

  /** The last message of a worker may still be in its channel, so the worker is retired after the channel has closed. */
  #exited(worker: Worker): void {
    if (worker.isConnected()) worker.once('disconnect', () => this.#retire(this.#members.take(worker)))
    else this.#retire(this.#members.take(worker))
  }

  #retire(members: readonly Member[]): void {
    const living = members.slice(0, 1).flatMap(({ worker }) => this.#members.of(worker))
    const last = withoutRepeats([...living, ...members].map(({ series }) => series))
      .slice(living.length)
      .map((series) => cumulative(series).filter(({ name }) => !OF_ONE_PROCESS.test(name)))
    if (members.length > 0) this.#retired = merge([this.#retired, ...last])
    for (const round of this.#rounds.values()) for (const member of members) this.#onAnswered(member, round)
  }

  #isMember(member: Member): boolean {
    return this.#members.find(member.worker, member.link) === member
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

/** The figures of members, those of the process itself once for each worker. */
function figuresByWorker(members: readonly Member[]): readonly Series[][] {
  const byWorker = new Map<number, Member[]>()
  for (const member of members) {
    const several = byWorker.get(member.worker.id)
    if (several === undefined) byWorker.set(member.worker.id, [member])
    else several.push(member)
  }
  return [...byWorker.values()].flatMap((several) => withoutRepeats(several.map(({ series }) => series)))
}

function workersOf(members: readonly Member[]): number {
  return new Set(members.map(({ worker }) => worker.id)).size
}

function broadcast(message: Message): void {
  for (const worker of Object.values(cluster.workers ?? {})) if (worker !== undefined) send(worker, message)
}

/** Sends to a worker. An error of its channel is ignored: the `exit` event tells of a worker that ended. */
function send(worker: Worker, message: Message): void {
  if (worker.isConnected()) worker.send(message, undefined, () => {})
}
