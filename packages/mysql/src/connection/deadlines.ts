import type { Clock } from '@spillway/kit'

/** Something that must be over at a time. Linked into its slot, so that setting and removing it allocate nothing. */
export abstract class Deadline {
  /** Absolute, in the clock's milliseconds; `Infinity` for never. */
  dueAt = Number.POSITIVE_INFINITY
  /** Its place on the wheel; these belong to {@link Deadlines}. */
  earlier: Deadline | undefined = undefined
  later: Deadline | undefined = undefined
  slot = -1
  isShort = false

  /** Called once, at or shortly after `dueAt`, when it was not removed before. */
  abstract onDue(): void
}

class Timer extends Deadline {
  readonly onDue: () => void

  constructor(action: () => void) {
    super()
    this.onDue = action
  }
}

/** One for each millisecond of a round. */
const SLOTS = 1_024
/** Milliseconds between two looks, which is how late a deadline may fire. */
const TICK = 10
/** Closer ones would be too late by that, and are looked for each millisecond. */
const SHORT = 10 * TICK

/**
 * Hashed timing wheel with the deadlines of one pool (Varghese and Lauck, 1987, scheme 6): setting and removing are O(1). A
 * deadline fires at most 10 ms late; one that is closer than 100 ms when it is set, 1 ms (and a turn of the event loop). A
 * tick of 1 ms costs some 3 % of a CPU, and one of 10 ms half a percent, so the short tick runs only while it is needed. The
 * timers run only while there are deadlines, and do not keep the process alive: the sockets that are waited for do. Why it is
 * no heap: docs/decisions/mysql.md.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #slots = new Array<Deadline | undefined>(SLOTS).fill(undefined)
  #size = 0
  #shorts = 0
  /** The last millisecond that was looked at. */
  #turn = 0
  #timer: NodeJS.Timeout | undefined
  #quickTimer: NodeJS.Timeout | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#size
  }

  /** Sets a deadline, or sets it anew. @param at absolute, in the clock's milliseconds; `Infinity` for never */
  set(deadline: Deadline, at: number): void {
    if (deadline.slot !== -1) this.remove(deadline)
    deadline.dueAt = at
    if (at === Number.POSITIVE_INFINITY) return
    if (this.#timer === undefined) {
      this.#turn = Math.floor(this.#clock.now())
      this.#timer = setInterval(() => this.fire(), TICK).unref()
    }
    // Never the slot of a turn that is over: it would wait for a whole round.
    const turn = Math.max(this.#turn + 1, Math.ceil(at))
    // The last look may be a tick ago.
    if (turn - this.#turn <= SHORT + TICK) this.#quicken(deadline)
    const slot = turn % SLOTS
    const head = this.#slots[slot]
    deadline.slot = slot
    deadline.later = head
    if (head !== undefined) head.earlier = deadline
    this.#slots[slot] = deadline
    this.#size++
  }

  /** Calls back at `at`, unless the deadline is removed before. */
  after(at: number, action: () => void): Deadline {
    const timer = new Timer(action)
    this.set(timer, at)
    return timer
  }

  remove(deadline: Deadline): void {
    const { slot, earlier, later } = deadline
    if (slot === -1) return
    if (earlier === undefined) this.#slots[slot] = later
    else earlier.later = later
    if (later !== undefined) later.earlier = earlier
    deadline.slot = -1
    deadline.earlier = undefined
    deadline.later = undefined
    this.#size--
    if (deadline.isShort) {
      deadline.isShort = false
      this.#shorts--
    }
  }

  /** Fires what is due. The timers call it; a test with a clock of its own may. */
  fire(): void {
    if (this.#shorts === 0) this.#slow()
    if (this.#size === 0) {
      this.clear()
      return
    }
    const now = this.#clock.now()
    const turn = Math.floor(now)
    // After a long pause each slot is visited once, not once per turn missed.
    const from = Math.max(this.#turn + 1, turn - SLOTS + 1)
    this.#turn = turn
    const due: Deadline[] = []
    for (let t = from; t <= turn; t++) {
      for (let entry = this.#slots[t % SLOTS]; entry !== undefined; entry = entry.later) {
        if (entry.dueAt <= now) due.push(entry)
      }
    }
    for (const entry of due) {
      // An earlier one may have settled a later one.
      if (entry.slot === -1) continue
      this.remove(entry)
      entry.onDue()
    }
  }

  clear(): void {
    this.#slow()
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #quicken(deadline: Deadline): void {
    deadline.isShort = true
    this.#shorts++
    this.#quickTimer ??= setInterval(() => this.fire(), 1).unref()
  }

  #slow(): void {
    clearInterval(this.#quickTimer)
    this.#quickTimer = undefined
  }
}
