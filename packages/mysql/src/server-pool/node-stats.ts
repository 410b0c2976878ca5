import type { Caller } from '@spillway/kit'
import { acquireChannel } from '../channels.js'
import { Histogram } from '../statement/histogram.js'

/** `stats().nodes[i]`. Times are milliseconds. */
export interface NodeStats extends NodeCounts {
  readonly node: string
  readonly limit: number
  /** What the server lets us have now: less than `limit` after "too many connections". */
  readonly effectiveLimit: number
  readonly active: number
  readonly idle: number
  readonly connecting: number
  readonly waiting: number
  readonly waitP50Ms: number
  readonly waitP99Ms: number
}

/** Since the pool was made. */
export interface NodeCounts {
  opened: number
  /** Connections that broke, or were cut. */
  lost: number
  /** Sessions that had to be cleaned. */
  resets: number
  /** Transactions that were left open, and rolled back. */
  rollbacks: number
  acquired: number
  refused: number
  acquireTimeouts: number
  kills: number
}

function noCounts(): NodeCounts {
  return {
    opened: 0,
    lost: 0,
    resets: 0,
    rollbacks: 0,
    acquired: 0,
    refused: 0,
    acquireTimeouts: 0,
    kills: 0,
  }
}

/** How fast the average of how long connections are held follows: a tenth of each new value. */
const FOLLOW = 0.1
/** Before that many connections have come back, the average says nothing. */
const ENOUGH = 20

/** Counts what happens at one node, and how long its connections were waited for and held. */
export class ServerPoolMeter {
  readonly count = noCounts()
  readonly #waits = new Histogram()
  #heldMs = 0
  #returned = 0

  constructor(
    readonly pool: string,
    readonly node: string,
  ) {}

  /** For how many milliseconds a connection is held, as an average of the last ones. */
  get heldMs(): number {
    return this.#heldMs
  }

  /** Enough connections have come back to rely on {@link heldMs}. */
  get isHeldMsKnown(): boolean {
    return this.#returned > ENOUGH
  }

  /** A connection came back after so many milliseconds. */
  returned(heldMs: number): void {
    this.#returned++
    this.#heldMs += (heldMs - this.#heldMs) * (this.isHeldMsKnown ? FOLLOW : 1 / this.#returned)
  }

  /** An acquire was granted or gave up. @param waiting acquires that are still in the queue */
  waited(waitedMs: number, waiting: number, granted: boolean, caller?: Caller): void {
    if (granted) {
      this.count.acquired++
      this.#waits.record(waitedMs)
    }
    if (acquireChannel.active) {
      const { pool, node } = this
      acquireChannel.publish(() => ({ pool, node, waitedMs, waiting, granted }), caller)
    }
  }

  stats(): NodeCounts & Pick<NodeStats, 'waitP50Ms' | 'waitP99Ms'> {
    return {
      ...this.count,
      waitP50Ms: this.#waits.quantile(0.5),
      waitP99Ms: this.#waits.quantile(0.99),
    }
  }
}
