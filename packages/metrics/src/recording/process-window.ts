import {
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  performance,
} from 'node:perf_hooks'

/** Length of a window, in milliseconds. */
const WINDOW = 10_000

/** The counters of the process when a window began. */
interface WindowStart {
  readonly at: number
  readonly loop: EventLoopUtilization
  readonly cpu: NodeJS.CpuUsage
  readonly delay: IntervalHistogram
}

/**
 * Sliding window over the process: the last complete window of ten seconds and the current one. A timer starts the windows,
 * and reading does not, so that every reader sees the same figures.
 */
export class ProcessWindow {
  readonly #timer = setInterval(() => this.startNext(), WINDOW).unref()
  #older = startOfWindow()
  #newer = this.#older

  /** Begins the next window. */
  startNext(): void {
    if (this.#older !== this.#newer) this.#older.delay.disable()
    this.#older = this.#newer
    this.#newer = startOfWindow()
  }

  /** How late the event loop was. Nanoseconds. */
  get delay(): IntervalHistogram {
    return this.#older.delay
  }

  /** Share of the time that the event loop was busy, from 0 to 1. */
  get utilization(): number {
    return performance.eventLoopUtilization(performance.eventLoopUtilization(), this.#older.loop).utilization
  }

  /** Cores used: 1 is one whole core. */
  get cpu(): number {
    const { user, system } = process.cpuUsage(this.#older.cpu)
    const elapsed = performance.now() - this.#older.at
    return elapsed > 0 ? (user + system) / 1_000 / elapsed : 0
  }

  close(): void {
    clearInterval(this.#timer)
    this.#older.delay.disable()
    this.#newer.delay.disable()
  }
}

function startOfWindow(): WindowStart {
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  return { at: performance.now(), loop: performance.eventLoopUtilization(), cpu: process.cpuUsage(), delay }
}
