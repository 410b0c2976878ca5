import cluster from 'node:cluster'
import { randomUUID } from 'node:crypto'
import { MetricsUnavailableError } from '../errors.js'
import type { Gathered } from '../series/exposition.js'
import type { Series } from '../series/series.js'
import { isCollected } from './collected-by.js'
import { type Message, parse } from './messages.js'
import { onPrimaryMessage } from './primary-messages.js'
import { Reporter } from './reporter.js'

interface Waiting {
  readonly resolve: (gathered: Gathered) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/**
 * Client of the primary's collection, in a worker: it answers the primary's questions, and asks for the figures of all workers
 * when this worker is scraped. Where a primary collects, a worker never answers with its own figures alone: its counters are
 * smaller than the sums, which Prometheus reads as a restart.
 */
export class WorkerLink {
  readonly #link = randomUUID()
  readonly #waiting = new Map<number, Waiting>()
  readonly #stopListening = onPrimaryMessage((message) => void this.#onMessage(message))
  readonly #reporter: Reporter
  #nextId = 1
  #primaryServes = isCollected()
  #open = true
  /** The newest answer of the primary. The primary does not send the same one twice. */
  #last: { readonly number: number; readonly gathered: Gathered } | undefined
  /** The question to the primary that waits for its answer; scrapes at the same time share it. */
  #asking: Promise<Gathered> | undefined

  constructor(
    readonly read: () => Promise<Series[]>,
    readonly timeout: number,
  ) {
    this.#reporter = new Reporter(read, (series) => {
      this.#send({ spillway: 'metrics', type: 'report', link: this.#link, series })
    })
    this.#sayHello()
  }

  /** Whether a primary collects the figures, so that this worker's own are a part of them. */
  get collected(): boolean {
    return this.#primaryServes
  }

  /**
   * The merged figures of all workers; `undefined` where no primary collects them.
   *
   * @param maxAge how old they may be, in milliseconds
   * @throws MetricsUnavailableError when the primary does not answer in time
   */
  async gather(maxAge: number): Promise<Gathered | undefined> {
    if (!this.#primaryServes) return undefined
    if (!this.#open || cluster.worker?.isConnected() !== true) throw new MetricsUnavailableError()
    this.#asking ??= this.#ask(maxAge).finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  #ask(maxAge: number): Promise<Gathered> {
    const id = this.#nextId++
    const have = this.#last?.number ?? 0
    return new Promise((resolve, reject) => {
      const late = (): void => this.#take(id)?.reject(new MetricsUnavailableError())
      // The primary itself waits for `timeout` at most; twice that long and it hangs.
      const timer = setTimeout(late, 2 * this.timeout).unref()
      this.#waiting.set(id, { resolve, reject, timer })
      this.#send({ spillway: 'metrics', type: 'gather', link: this.#link, id, maxAge, have })
    })
  }

  /** Sends the last figures to the primary, so that no count of this worker is lost. */
  async close(): Promise<void> {
    if (!this.#open) return
    const series = this.#primaryServes ? await this.read().catch(() => undefined) : undefined
    this.#open = false
    this.#reporter.stop()
    this.#stopListening()
    for (const id of [...this.#waiting.keys()]) this.#take(id)?.reject(new MetricsUnavailableError())
    if (series !== undefined) this.#send({ spillway: 'metrics', type: 'farewell', link: this.#link, series })
  }

  async #onMessage(raw: unknown): Promise<void> {
    const message = parse(raw)
    if (message === undefined) return
    if (message.type === 'serving') {
      this.#primaryServes = true
      // Another primary's collection has numbers of its own.
      this.#last = undefined
      this.#sayHello()
      this.#reporter.start()
    } else if (message.type === 'ended') {
      this.#primaryServes = false
      this.#reporter.stop()
    } else if (message.type === 'gathered') this.#gathered(message)
    else if (message.type === 'collect') {
      // A metric of the app's own that fails: the last known counters stand in for this worker.
      const series = await this.read().catch(() => undefined)
      if (series === undefined || !this.#open) return
      this.#reporter.sent(series)
      this.#send({ spillway: 'metrics', type: 'collected', link: this.#link, id: message.id, series })
    }
  }

  #gathered({ link, id, number, series, at, workers, missing }: Message & { type: 'gathered' }): void {
    const waiting = link === this.#link ? this.#take(id) : undefined
    if (series !== undefined) this.#last = { number, gathered: { at, series, workers, missing } }
    if (this.#last?.number === number) waiting?.resolve(this.#last.gathered)
    else waiting?.reject(new MetricsUnavailableError())
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    clearTimeout(waiting?.timer)
    this.#waiting.delete(id)
    return waiting
  }

  #sayHello(): void {
    this.#send({ spillway: 'metrics', type: 'hello', link: this.#link })
  }

  /** Sends to the primary. The callback takes the error of a channel that has just closed. */
  #send(message: Message): void {
    if (cluster.worker?.isConnected()) process.send?.(message, undefined, undefined, () => {})
  }
}
