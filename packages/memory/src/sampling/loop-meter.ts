import {
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  performance,
} from 'node:perf_hooks'

/** Delay and utilisation of the event loop in the last interval. */
export interface LoopSample {
  /** Milliseconds that callbacks came late: median, 99th percentile and maximum. */
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** Share of the interval in which the loop was busy, 0 to 1. */
  readonly utilization: number
}

export interface LoopMeter {
  /** The figures since the last read. */
  read(): LoopSample
  stop(): void
}

const RESOLUTION = 20
const NANOSECONDS = 1e6

/**
 * Measures loop delay and utilisation since the last read.
 *
 * `reset()` of Node's delay histogram swallows the interval that follows it, so a block that starts just then would
 * never be seen. Two histograms are therefore read in turns: each has run for two intervals when its turn comes.
 * The recorded values contain the resolution of the histogram's own timer, which is taken off again.
 */
export class NodeLoopMeter implements LoopMeter {
  #elder = monitorEventLoopDelay({ resolution: RESOLUTION })
  #younger = monitorEventLoopDelay({ resolution: RESOLUTION })
  #rotatedAt = performance.now()
  #utilization: EventLoopUtilization = performance.eventLoopUtilization()

  constructor() {
    this.#elder.enable()
    this.#younger.enable()
  }

  read(): LoopSample {
    const histogram = this.#elder
    const empty = histogram.count === 0
    const sample = {
      p50: empty ? 0 : lateness(histogram.percentile(50)),
      p99: empty ? 0 : lateness(histogram.percentile(99)),
      max: empty ? 0 : lateness(histogram.max),
      utilization: this.#busy(),
    }
    this.#rotate(histogram)
    return sample
  }

  stop(): void {
    this.#elder.disable()
    this.#younger.disable()
  }

  /** Readings in quick succession must not reset both: a block that follows would be swallowed twice. */
  #rotate(histogram: IntervalHistogram): void {
    const now = performance.now()
    if (now - this.#rotatedAt < 2 * RESOLUTION) return
    this.#rotatedAt = now
    histogram.reset()
    this.#elder = this.#younger
    this.#younger = histogram
  }

  #busy(): number {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization)
    this.#utilization = now
    return Number.isFinite(utilization) ? utilization : 0
  }
}

function lateness(nanoseconds: number): number {
  return Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION)
}
