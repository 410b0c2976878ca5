import cluster from 'node:cluster'
import { type Gathered, isMessage, type Message } from './messages.js'
import type { Series } from './series.js'

/**
 * A worker's end of the line to its primary: answers what the primary asks for, and asks for everybody's figures when
 * this worker is the one that was scraped. Silent until the primary says that it collects.
 */
export class WorkerLink {
  readonly #waiting = new Map<number, (gathered: Gathered | undefined) => void>()
  readonly #receive = (message: unknown): void => void this.#onMessage(message)
  #nextId = 1
  #primaryServes = false
  #open = true

  constructor(
    readonly read: () => Promise<Series[]>,
    readonly timeout: number,
  ) {
    process.on('message', this.#receive)
    this.#send({ spillway: 'metrics', type: 'hello' })
  }

  get collected(): boolean {
    return this.#primaryServes && this.#open
  }

  /** Everybody's figures; `undefined` where nobody collects them, or the primary did not answer in time. */
  gather(): Promise<Gathered | undefined> {
    if (!this.collected) return Promise.resolve(undefined)
    const id = this.#nextId++
    return new Promise((resolve) => {
      const settle = (gathered?: Gathered): void => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        resolve(gathered)
      }
      // The primary itself waits for `timeout` at most; twice that long and it hangs.
      const timer = setTimeout(settle, 2 * this.timeout).unref()
      this.#waiting.set(id, settle)
      this.#send({ spillway: 'metrics', type: 'gather', id })
    })
  }

  /** The last figures go to the primary, so that nothing this worker counted is lost. */
  async close(): Promise<void> {
    if (!this.#open) return
    const series = this.#primaryServes ? await this.read() : []
    this.#open = false
    process.off('message', this.#receive)
    for (const settle of this.#waiting.values()) settle(undefined)
    if (this.#primaryServes) this.#send({ spillway: 'metrics', type: 'farewell', series })
  }

  async #onMessage(message: unknown): Promise<void> {
    if (!isMessage(message)) return
    if (message.type === 'serving') this.#primaryServes = true
    else if (message.type === 'gathered') {
      const { series, workers, missing } = message
      this.#waiting.get(message.id)?.({ series, workers, missing })
    } else if (message.type === 'collect') {
      const series = await this.read()
      if (this.#open) this.#send({ spillway: 'metrics', type: 'collected', id: message.id, series })
    }
  }

  /** A primary that is gone makes the channel fail; the worker's own scrape still answers. */
  #send(message: Message): void {
    if (cluster.worker?.isConnected()) process.send?.(message, undefined, undefined, () => {})
  }
}
