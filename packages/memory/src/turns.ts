import { performance } from 'node:perf_hooks'

/** Tells more work than can be done from a single slow piece of it. */
export interface TurnWatch {
  /** Looks at the turns of the event loop from now on. `late`: the last one was. Nothing new while it is looking already. */
  follow(late: boolean): void
  /** Stops looking. */
  rest(): void
  /**
   * Milliseconds for which a request that comes up now has waited, as far as is known; 0 when nothing is queued.
   * `fresh`: it is the first of its connection.
   */
  backlog(fresh: boolean): number
}

/** Where connections wait to be accepted. */
interface Queue {
  length(): number
  close(): void
}

/** One late turn is a hiccup. Two within so many milliseconds of work are more work than can be done. */
const RECENT = 2_000
const NEVER = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY] as const
/** Fewer connections than this come together by chance. */
const FEWEST_WAITING = 8
/** Weight of the last turn in the usual length of one. */
const WEIGHT = 1 / 8

/**
 * Turns of the event loop. When more comes than can be done, the queue is in one of two places. On connections that stay
 * open, each turn takes up all that has come in meanwhile: every turn is longer than the one before, and what it has done
 * so far is how long the rest of it has waited. New connections are accepted one in a turn: the turns are short, and the
 * wait is as many of them as there are connections before the door.
 *
 * An immediate marks where a turn ends; unref'ed, it runs once in every turn, keeps neither the process alive nor the loop
 * from waiting, and is there only on suspicion. Waiting for work is no work: it is not counted.
 */
export class Turns implements TurnWatch {
  readonly #limit: number
  readonly #door: Queue
  #mark: NodeJS.Immediate | undefined
  #beganAt = 0
  /** When the last late turn ended, and the one before it. */
  #late: readonly [before: number, last: number] = NEVER
  #usual = 0
  #outside = 0
  /** Since the door was last free: how many have come by when, how many have passed, how many stood there at most. */
  #came: { readonly count: number; readonly at: number }[] = []
  #passed = 0
  #most = 0

  /** `limit`: milliseconds from which a turn is late. */
  constructor(limit: number, door: Queue) {
    this.#limit = limit
    this.#door = door
  }

  follow(late: boolean): void {
    if (this.#mark !== undefined) return
    const now = workSoFar()
    if (late) this.#late = [NEVER[0], now]
    this.#begin(now)
  }

  rest(): void {
    clearImmediate(this.#mark)
    this.#mark = undefined
    this.#late = NEVER
    this.#usual = 0
    this.#outside = 0
    this.#came = []
    this.#door.close()
  }

  backlog(fresh: boolean): number {
    const now = workSoFar()
    const inside = now - this.#late[0] > RECENT ? 0 : now - this.#beganAt
    return fresh ? Math.max(inside, this.#outside) : inside
  }

  #begin(now: number): void {
    this.#beganAt = now
    this.#mark = setImmediate(() => this.#end())
    this.#mark.unref()
  }

  #end(): void {
    const now = workSoFar()
    const length = now - this.#beganAt
    if (length >= this.#limit) this.#late = [this.#late[1], now]
    this.#usual += (length - this.#usual) * WEIGHT
    this.#outside = this.#waitAtDoor(now)
    this.#begin(now)
  }

  /** For as long as the first in the queue has stood there, or as the last will have. */
  #waitAtDoor(now: number): number {
    const waiting = this.#door.length()
    if (waiting === 0 || this.#came.length === 0) {
      this.#came = []
      this.#passed = 0
      this.#most = 0
    } else this.#passed++
    if (waiting === 0) return 0
    const count = this.#passed + waiting
    if (count > (this.#came.at(-1)?.count ?? 0)) this.#came.push({ count, at: now })
    while (this.#came.length > 1 && this.#came[0]!.count <= this.#passed) this.#came.shift()
    this.#most = Math.max(this.#most, waiting)
    return this.#most < FEWEST_WAITING ? 0 : Math.max(now - this.#came[0]!.at, waiting * this.#usual)
  }
}

/** Milliseconds for which the loop has been busy since it began. */
function workSoFar(): number {
  return performance.eventLoopUtilization().active
}
