import { performance } from 'node:perf_hooks'
import type { Door } from './accept-delay.js'
import type { Stopwatch } from './time-budget.js'

/** Tells how long a request has waited before its handler is called. */
export interface TurnWatch {
  /** Looks at the turns of the event loop from now on. Nothing new while it is looking already. */
  follow(): void
  /** Stops looking. */
  rest(): void
  /**
   * Milliseconds for which a request that comes up now has waited, for certain; 0 when nothing is known. `fresh`: it is the
   * first of its connection.
   */
  waited(fresh: boolean): number
  /** Milliseconds for which the next connection has waited to be accepted, for certain; 0 when nothing is known. */
  outside(): number
  /** The longest piece of work since it looks, in milliseconds: between two requests, or the ends of turns. */
  readonly longest: number
  /** Stops looking for good. */
  close(): void
}

/** Where connections wait to be accepted. */
type Outside = Pick<Door, 'look' | 'waited' | 'standing' | 'rest' | 'close'>

/**
 * A request waits in one of two places. On a connection that stays open, it is taken up by the next turn of the event loop,
 * together with all others that have come meanwhile: whatever comes up in a turn was there when its first request did, and
 * has waited since. On a new connection, it waits before the door as well.
 *
 * An immediate marks where a turn ends; unref'ed, it runs once in every turn and keeps neither the process alive nor the
 * loop from waiting.
 */
export class Turns implements TurnWatch {
  readonly #door: Outside
  readonly #clock: Stopwatch
  #mark: NodeJS.Immediate | undefined
  /** Made once: a busy loop has thousands of turns in a second. */
  readonly #next = (): void => this.#turn()
  /** When the first request of this turn came up. */
  #first: number | undefined
  /** When a request came up last, or a turn ended. */
  #last = 0
  longest = 0

  constructor(door: Outside, clock: Stopwatch = performance) {
    this.#door = door
    this.#clock = clock
  }

  follow(): void {
    if (this.#mark !== undefined) return
    this.#last = this.#clock.now()
    this.#turn()
  }

  rest(): void {
    if (this.#mark === undefined) return
    clearImmediate(this.#mark)
    this.#mark = undefined
    this.#first = undefined
    this.longest = 0
    this.#door.rest()
  }

  waited(fresh: boolean): number {
    if (this.#mark === undefined) return 0
    const now = this.#piece()
    this.#first ??= now
    const inside = now - this.#first
    return fresh ? Math.max(inside, this.#door.waited()) : inside
  }

  outside(): number {
    return this.#mark === undefined ? 0 : this.#door.standing()
  }

  close(): void {
    this.rest()
    this.#door.close()
  }

  #piece(): number {
    const now = this.#clock.now()
    this.longest = Math.max(this.longest, now - this.#last)
    this.#last = now
    return now
  }

  #turn(): void {
    this.#piece()
    this.#first = undefined
    this.#door.look()
    this.#mark = setImmediate(this.#next)
    this.#mark.unref()
  }
}
