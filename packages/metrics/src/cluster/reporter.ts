import { cumulative, type Series } from '../series/series.js'

/** Milliseconds between two reports of a process, at least. */
const INTERVAL = 1_000
/** Reading a registry may take one hundredth of the time: a large one is reported less often, but every ten seconds. */
const SHARE = 0.01
const LONGEST_INTERVAL = 10_000

/**
 * A delta encoder with a timer of its own: reads the figures about once a second, and sends the counters that have changed
 * since they were last sent. A process that is killed says no farewell; what it had sent is not lost.
 */
export class Reporter {
  readonly #read: () => Promise<readonly Series[]>
  readonly #send: (changed: Series[]) => void
  #timer: NodeJS.Timeout | undefined
  /** The values that were sent, by their metric, in the order of the registry. */
  readonly #sent = new Map<string, readonly number[]>()
  /** How often figures were sent: those of a reading that began before are older than what the other side has. */
  #sendings = 0

  constructor(read: () => Promise<readonly Series[]>, send: (changed: Series[]) => void) {
    this.#read = read
    this.#send = send
  }

  /** Begins, or begins anew: the other side knows nothing yet. */
  start(): void {
    this.#sent.clear()
    if (this.#timer === undefined) this.#wait(INTERVAL)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** These figures have been sent: what comes next is told relative to them. */
  sent(series: readonly Series[]): void {
    this.#sendings++
    for (const { name, values } of cumulative(series)) {
      this.#sent.set(
        name,
        values.map(({ value }) => value),
      )
    }
  }

  #wait(milliseconds: number): void {
    this.#timer = setTimeout(() => void this.#report(), milliseconds).unref()
  }

  async #report(): Promise<void> {
    const start = performance.now()
    const sendings = this.#sendings
    // A metric of the app's own that fails: the next report may succeed.
    const series = await this.#read().catch(() => undefined)
    if (this.#timer === undefined) return
    if (series !== undefined && sendings === this.#sendings) {
      const changed = this.#changes(series)
      this.sent(series)
      if (changed.length > 0) this.#send(changed)
    }
    const cost = performance.now() - start
    this.#wait(Math.min(LONGEST_INTERVAL, Math.max(INTERVAL, cost / SHARE)))
  }

  #changes(series: readonly Series[]): Series[] {
    const changed: Series[] = []
    for (const one of cumulative(series)) {
      const before = this.#sent.get(one.name)
      const values =
        // Values that were removed have moved the others.
        before === undefined || before.length > one.values.length
          ? one.values
          : one.values.filter(({ value }, i) => value !== before[i])
      if (values.length > 0) changed.push({ ...one, values })
    }
    return changed
  }
}
