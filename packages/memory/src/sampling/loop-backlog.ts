import { performance } from 'node:perf_hooks'
import type { AcceptDelay } from './accept-delay.js'
import type { Stopwatch } from './time-budget.js'

/** Tells how long a request has waited before its handler is called. */
export interface BacklogMeter {
  /** Looks at the turns of the event loop from now on. Nothing new while it is looking already. */
  start(): void
  /** Stops looking. */
  pause(): void
  /**
   * Milliseconds for which a request that comes up now has waited, for certain; 0 when nothing is known. `fresh`: it is the
   * first of its connection.
   */
  waited(fresh: boolean): number
  /** Milliseconds for which the next connection has waited to be accepted, for certain; 0 when nothing is known. */
  acceptDelay(): number
  /** The longest piece of work since it looks, in milliseconds: between two requests, or the ends of turns. */
  readonly longestTask: number
  /** Stops looking for good. */
  close(): void
}

/** Where connections wait to be accepted. */
type Delay = Pick<AcceptDelay, 'sample' | 'ofLast' | 'ofNext' | 'pause' | 'close'>

/**
 * A request waits in one of two places. On a connection that stays open, it is taken up by the next turn of the event loop,
 * together with all others that have come meanwhile: whatever comes up in a turn was there when its first request did, and
 * has waited since. On a new connection, it waits before the door as well.
 *
 * An immediate marks where a turn ends; unref'ed, it runs once in every turn and keeps neither the process alive nor the
 * loop from waiting.
 */
export class LoopBacklog implements BacklogMeter {
  readonly #acceptDelay: Delay
  readonly #clock: Stopwatch
  #mark: NodeJS.Immediate | undefined
  /** Made once: a busy loop has thousands of turns in a second. */
  readonly #next = (): void => this.#turn()
  /** When the first request of this turn came up. */
  #first: number | undefined
  /** When a request came up last, or a turn ended. */
  #last = 0
  longestTask = 0

  constructor(door: Delay, clock: Stopwatch = performance) {
    this.#acceptDelay = door
    this.#clock = clock
  }

  start(): void {
    if (this.#mark !== undefined) return
    this.#last = this.#clock.now()
    this.#turn()
  }

  pause(): void {
    if (this.#mark === undefined) return
    clearImmediate(this.#mark)
    this.#mark = undefined
    this.#first = undefined
    this.longestTask = 0
    this.#acceptDelay.pause()
  }

  waited(fresh: boolean): number {
    if (this.#mark === undefined) return 0
    const now = this.#piece()
    this.#first ??= now
    const inside = now - this.#first
    return fresh ? Math.max(inside, this.#acceptDelay.ofLast()) : inside
  }

  acceptDelay(): number {
    return this.#mark === undefined ? 0 : this.#acceptDelay.ofNext()
  }

  close(): void {
    this.pause()
    this.#acceptDelay.close()
  }

  #piece(): number {
    const now = this.#clock.now()
    this.longestTask = Math.max(this.longestTask, now - this.#last)
    this.#last = now
    return now
  }

  #turn(): void {
    this.#piece()
    this.#first = undefined
    this.#acceptDelay.sample()
    this.#mark = setImmediate(this.#next)
    this.#mark.unref()
  }
}
