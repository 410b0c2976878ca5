import type { CollectionWatch, Floor } from './collections.js'
import { Limits, type MemoryUse } from './limits.js'
import type { LoopSample, LoopWatch } from './loop.js'
import type { Pressure } from './pressure.js'
import type { System } from './system.js'

/** One look at the process. Sizes are bytes, times milliseconds. */
export interface Sample extends Readonly<NodeJS.MemoryUsage> {
  /** Time of the sample on the monitor's clock. */
  readonly at: number
  /** What V8 lets the heap grow to. Not `heapTotal`, which is only what it has taken so far. */
  readonly heapLimit: number
  /** Heap alive: what the last full collection left, or less when less is used now. */
  readonly heapLive: number
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

/** Draining the collector's log costs some microseconds per collection: once a second is often enough. */
const DRAIN_EVERY = 1_000
/** Young objects are collected every few seconds only, and are counted then: the rate is smoothed over this time. */
const SMOOTHING = 10_000

/** Reads everything, once per sample; nothing of it is read on the request path. */
export class Sampler {
  readonly collections: CollectionWatch
  readonly limits: Limits
  readonly #system: System
  readonly #loop: LoopWatch
  #floors: Floor[] = []
  #allocated = 0
  #allocationRate = 0
  #drainedAt = Number.NEGATIVE_INFINITY
  #cpu = process.cpuUsage()
  #cpuAt = performance.now()

  constructor(system: System, limit: number | 'auto') {
    this.#system = system
    this.limits = new Limits(system, limit)
    this.#loop = system.watchLoop()
    this.collections = system.watchCollections()
  }

  read(now: number): Sample {
    if (now - this.#drainedAt >= DRAIN_EVERY) {
      this.#floors.push(...this.collections.drain())
      this.#rate(now - this.#drainedAt)
      this.#drainedAt = now
    }
    const { rss, heapTotal, heapUsed, external, arrayBuffers } = this.#system.memoryUsage()
    return {
      at: now,
      rss,
      heapTotal,
      heapUsed,
      external,
      arrayBuffers,
      heapLimit: this.#system.heapLimit(),
      heapLive: Math.min(heapUsed, this.collections.floor?.heap ?? heapUsed),
      native: Math.max(0, rss - heapTotal - external),
      memory: this.limits.read(rss, now),
      pressure: this.limits.pressure(now),
      loop: this.#loop.read(),
      cpu: this.#busyCpus(),
      allocationRate: this.#allocationRate,
    }
  }

  /** What the full collections since the last call have left behind. */
  takeFloors(): readonly Floor[] {
    const floors = this.#floors
    this.#floors = []
    return floors
  }

  /** Runs a full collection; returns its pause in milliseconds. */
  collect(): number {
    const pause = this.#system.collectGarbage()
    this.#floors.push(...this.collections.drain())
    return pause
  }

  stop(): void {
    this.#loop.stop()
    this.collections.stop()
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
