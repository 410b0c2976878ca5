import { FakeClock } from '@spillway/kit/testing'
import type { LoopSample } from '../../src/sampling/loop-meter.js'

/** Milliseconds of the event loop. */
export interface Costs {
  /** A request that is served. */
  readonly served: number
  /** One that is refused, with its share of the connection. */
  readonly refused: number
}

export interface Outcome {
  readonly sent: number
  readonly refused: number
  /** Served within a second of the moment they were due. */
  readonly inTime: number
  /** Milliseconds that the loop was busy. */
  readonly busy: number
}

/** What the server under test does; `fresh`: the request is the first of its connection. */
export interface Server {
  /** Whether the request is served. */
  admits(fresh: boolean): boolean
  /** The timer of the samples. */
  sample(loop: LoopSample): void
  /** A connection is accepted; so many wait behind it. */
  accepted?(): void
}

const SAMPLE_EVERY = 250
const IN_TIME = 1_000
/** Resolution of Node's delay histogram. */
const RESOLUTION = 20

/**
 * A server's event loop on a fake clock, under requests that come at a steady rate and wait for nobody: what they wait for
 * is the loop. Timers, then what is ready, then immediates, as in libuv; one new connection is accepted in each turn.
 */
export class SimulatedLoop {
  readonly clock = new FakeClock()
  /** Milliseconds that it has worked. */
  active = 0
  /** Connections that nobody has accepted. */
  backlog: number[] = []
  readonly #costs: Costs
  readonly #immediates: (() => void)[] = []
  #sampleAt = SAMPLE_EVERY
  #sampledAt = 0
  #activeThen = 0
  #tick = RESOLUTION
  #late = 0
  #lateBefore = 0

  constructor(costs: Costs) {
    this.#costs = costs
  }

  /** In place of the global one. */
  readonly setImmediate = (callback: () => void): { unref(): void } => {
    this.#immediates.push(callback)
    return Object.assign(callback, { unref() {} })
  }

  readonly clearImmediate = (handle: unknown): void => {
    const at = this.#immediates.indexOf(handle as () => void)
    if (at !== -1) this.#immediates.splice(at, 1)
  }

  /**
   * Serves requests that are due at these times, in milliseconds from now, until the last one is answered. `pool`:
   * connections that stay open, of clients that wait for a free one; 0: a new connection for each request.
   */
  run(server: Server, times: readonly number[], pool: number): Outcome {
    const start = this.clock.now()
    const begun = this.active
    const dues = times.map((time) => start + time)
    const sent = dues.length
    let [refused, inTime, free] = [0, 0, pool]
    let ready: number[] = []
    const answer = (due: number, fresh: boolean): void => {
      const admitted = server.admits(fresh)
      this.#work(admitted ? this.#costs.served : this.#costs.refused)
      if (!admitted) refused++
      else if (this.clock.now() - due <= IN_TIME) inTime++
    }
    while (dues.length > 0 || ready.length > 0 || this.backlog.length > 0) {
      this.#timers(server)
      const arrive = () => {
        while (dues.length > 0 && dues[0]! <= this.clock.now() && (pool === 0 || free > 0)) {
          if (pool === 0) this.backlog.push(dues.shift()!)
          else {
            free--
            ready.push(dues.shift()!)
          }
        }
      }
      arrive()
      if (ready.length === 0 && this.backlog.length === 0) {
        const next = Math.min(dues[0] ?? Number.POSITIVE_INFINITY, this.#sampleAt, this.#tick)
        this.clock.advance(Math.max(0.001, next - this.clock.now()))
        continue
      }
      const taken = ready
      ready = []
      if (pool === 0 && this.backlog.length > 0) {
        ready.push(this.backlog.shift()!)
        server.accepted?.()
      }
      for (const due of taken) {
        answer(due, pool === 0)
        free++
        if (pool === 0) arrive()
      }
      if (taken.length === 0) this.#work(0.05)
      for (const immediate of this.#immediates.splice(0)) immediate()
    }
    return { sent, refused, inTime, busy: this.active - begun }
  }

  #work(milliseconds: number): void {
    this.clock.advance(milliseconds)
    this.active += milliseconds
  }

  #timers(server: Server): void {
    const now = this.clock.now()
    if (now >= this.#tick) {
      this.#late = Math.max(this.#late, now - this.#tick)
      this.#tick = now + RESOLUTION
    }
    if (now < this.#sampleAt) return
    const max = Math.max(this.#late, this.#lateBefore)
    const utilization = Math.min(1, (this.active - this.#activeThen) / (now - this.#sampledAt))
    server.sample({ p50: max, p99: max, max, utilization: utilization > 1 - 1e-9 ? 1 : utilization })
    this.#lateBefore = this.#late
    this.#late = 0
    this.#sampledAt = now
    this.#activeThen = this.active
    this.#sampleAt = now + SAMPLE_EVERY
  }
}
