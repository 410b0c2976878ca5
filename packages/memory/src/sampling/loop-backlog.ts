import { performance } from 'node:perf_hooks'
import type { AcceptDelay } from './accept-delay.js'
import type { Stopwatch } from './time-budget.js'

/** Measures how long a request has waited before its handler is called. */
export interface BacklogMeter {
  /** Begins to watch the turns of the event loop. No effect while they are watched. */
  start(): void
  /** Stops watching and forgets what was measured. */
  pause(): void
  /**
   * Least wait of the request whose handler is called now, in milliseconds; 0 when unknown. `fresh`: the request is the
   * first of its connection.
   */
  waited(fresh: boolean): number
  /** Least wait of the next connection in the accept queue, in milliseconds; 0 when unknown. */
  acceptDelay(): number
  /** The longest task since the start, in milliseconds: between two requests, or the ends of two turns. */
  readonly longestTask: number
  /** Stops watching for good. */
  close(): void
}

/** What is used of the accept delay. */
type Delay = Pick<AcceptDelay, 'sample' | 'ofLast' | 'ofNext' | 'pause' | 'close'>

/**
 * Backlog of the event loop. A request on an open connection waits in the socket until the next turn of the loop, which
 * handles all requests that have arrived by then: each request of a turn has waited at least since the first one of that
 * turn was handled. A request on a new connection waits in the kernel's accept queue as well.
 *
 * An unref'ed immediate marks the end of each turn. It neither keeps the process alive nor stops the loop from waiting.
 */
export class LoopBacklog implements BacklogMeter {
  readonly #acceptDelay: Delay
  readonly #clock: Stopwatch
  #mark: NodeJS.Immediate | undefined
  /** Made once: a busy loop has thousands of turns in a second. */
  readonly #next = (): void => this.#turn()
  /** When the first request of this turn was handled. */
  #first: number | undefined
  /** When the last request was handled, or the last turn ended. */
  #last = 0
  longestTask = 0

  constructor(acceptDelay: Delay, clock: Stopwatch = performance) {
    this.#acceptDelay = acceptDelay
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
