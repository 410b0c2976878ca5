import type { GcMeter, LiveSize } from './gc-meter.js'
import { HeapForecast } from './heap-forecast.js'
import { Limits, type MemoryUse } from './limits.js'
import type { LoopMeter, LoopSample } from './loop-meter.js'
import type { Pressure } from './pressure.js'
import type { System } from './system.js'

/** All figures of the process at one moment. Sizes are bytes, times milliseconds. */
export interface Sample extends Readonly<NodeJS.MemoryUsage> {
  /** Time of the sample on the monitor's clock. */
  readonly at: number
  /** Limit of V8's old generation: objects that survive live there, new ones do not count. */
  readonly heapLimit: number
  /** Live heap: what the last full collection left, or less when less is in use now. */
  readonly heapLive: number
  /** Forecast of the live heap in five seconds; `heapLive` when the heap does not grow. */
  readonly heapAhead: number
  /** Resident memory that is neither V8's heap nor its external memory: native code, threads, fragmentation. */
  readonly native: number
  /** The limit that binds, and the use of it. */
  readonly memory: MemoryUse
  readonly pressure: Pressure
  readonly loop: LoopSample
  /** CPUs kept busy by this process since the last sample: 1 is one CPU. */
  readonly cpu: number
  /** Bytes of new objects on the heap per second, over the last ten seconds or so. */
  readonly allocationRate: number
}

/** Reading the log of collections costs some microseconds for each: once a second is enough. */
const DRAIN_EVERY = 1_000
/** Above this share of the limit the log is read at every sample: a heap that leaks fast has few seconds left. */
const FILLING = 0.6
/** Allocations are counted at collections, which can be seconds apart: the rate is smoothed over this time, in ms. */
const SMOOTHING = 10_000

/** Reads all figures of the process. Called once per sample, never on the request path. */
export class Sampler {
  readonly collections: GcMeter
  readonly limits: Limits
  readonly #system: System
  readonly #loop: LoopMeter
  readonly #forecast = new HeapForecast()
  #liveSizes: LiveSize[] = []
  #allocated = 0
  #allocationRate = 0
  #drainedAt = Number.NEGATIVE_INFINITY
  #cpu = process.cpuUsage()
  #cpuAt = performance.now()

  constructor(system: System, limit: number | 'auto') {
    this.#system = system
    this.limits = new Limits(system, limit)
    this.#loop = system.watchLoop()
    this.collections = system.watchGc()
  }

  read(now: number): Sample {
    const heapLimit = this.#system.heapLimit()
    const old = this.#system.oldGeneration()
    if (now - this.#drainedAt >= (old < FILLING * heapLimit ? DRAIN_EVERY : 1)) {
      this.#take(now)
      this.#rate(now - this.#drainedAt)
      this.#drainedAt = now
    }
    const heapLive = Math.min(old, this.collections.live?.heap ?? old)
    const { rss, heapTotal, heapUsed, external, arrayBuffers } = this.#system.memoryUsage()
    return {
      at: now,
      rss,
      heapTotal,
      heapUsed,
      external,
      arrayBuffers,
      heapLimit,
      heapLive,
      heapAhead: this.#forecast.ahead(heapLive, heapLimit, now),
      native: Math.max(0, rss - heapTotal - external),
      memory: this.limits.read(rss, now),
      pressure: this.limits.pressure(now),
      loop: this.#loop.read(),
      cpu: this.#busyCpus(),
      allocationRate: this.#allocationRate,
    }
  }

  /** Live sizes after the full collections since the last call. */
  takeLiveSizes(): readonly LiveSize[] {
    const liveSizes = this.#liveSizes
    this.#liveSizes = []
    return liveSizes
  }

  /** Runs a full collection; returns its pause in milliseconds. */
  collect(now: number): number {
    const pause = this.#system.collectGarbage()
    this.#take(now)
    return pause
  }

  stop(): void {
    this.#loop.stop()
    this.collections.stop()
  }

  #take(now: number): void {
    for (const live of this.collections.drain()) {
      this.#liveSizes.push(live)
      this.#forecast.add(live.heap, now)
    }
  }

  #rate(elapsed: number): void {
    const { allocated } = this.collections
    const rate = ((allocated - this.#allocated) / elapsed) * 1_000
    this.#allocationRate += (rate - this.#allocationRate) * (1 - Math.exp(-elapsed / SMOOTHING))
    this.#allocated = allocated
  }

  #busyCpus(): number {
    const { user, system } = process.cpuUsage(this.#cpu)
    const now = performance.now()
    const elapsed = now - this.#cpuAt
    this.#cpu = process.cpuUsage()
    this.#cpuAt = now
    return elapsed > 0 ? (user + system) / 1_000 / elapsed : 0
  }
}
