import type { Clock } from '@spillway/kit'

/** Something that must be over at a time. Linked into its slot, so that adding and removing allocate nothing. */
export abstract class Deadline {
  /** Absolute, in the clock's milliseconds; `Infinity` for never. */
  expiresAt = Number.POSITIVE_INFINITY
  /** @internal */ earlier: Deadline | undefined
  /** @internal */ later: Deadline | undefined
  /** @internal */ slot = -1

  /** Called once, at or shortly after `expiresAt`, when it was not removed before. */
  abstract expire(): void
}

const SLOTS = 512

/**
 * All deadlines of a pool on one timer: a hashed timing wheel (Varghese and Lauck, 1987, scheme 6). Adding and removing
 * are O(1); a deadline fires at most one tick late. The timer runs only while there are deadlines, and does not keep
 * the process alive: the sockets that are waited for do.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #tick: number
  readonly #slots: (Deadline | undefined)[] = new Array<Deadline | undefined>(SLOTS).fill(undefined)
  #size = 0
  #turn = 0
  #timer: NodeJS.Timeout | undefined

  /** @param tick milliseconds of one slot */
  constructor(clock: Clock, tick = 10) {
    this.#clock = clock
    this.#tick = tick
  }

  get size(): number {
    return this.#size
  }

  add(deadline: Deadline, expiresAt: number): void {
    deadline.expiresAt = expiresAt
    if (expiresAt === Number.POSITIVE_INFINITY) return
    if (this.#timer === undefined) {
      this.#turn = Math.floor(this.#clock.now() / this.#tick)
      this.#timer = setInterval(() => this.run(), this.#tick)
      this.#timer.unref()
    }
    // Never the slot of a turn that is over: it would wait for a whole round.
    const turn = Math.max(this.#turn + 1, Math.ceil(expiresAt / this.#tick))
    const slot = turn % SLOTS
    const head = this.#slots[slot]
    deadline.slot = slot
    deadline.earlier = undefined
    deadline.later = head
    if (head !== undefined) head.earlier = deadline
    this.#slots[slot] = deadline
    this.#size++
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
  }

  /** Fires what is due. The timer calls it; a test with a clock of its own may. */
  run(): void {
    if (this.#size === 0) {
      this.stop()
      return
    }
    const now = this.#clock.now()
    const turn = Math.floor(now / this.#tick)
    // After a long pause each slot is visited once, not once per turn missed.
    const from = Math.max(this.#turn + 1, turn - SLOTS + 1)
    this.#turn = turn
    const due: Deadline[] = []
    for (let t = from; t <= turn; t++) {
      for (let entry = this.#slots[t % SLOTS]; entry !== undefined; entry = entry.later) {
        if (entry.expiresAt <= now) due.push(entry)
      }
    }
    for (const entry of due) {
      // An earlier one may have settled a later one.
      if (entry.slot === -1) continue
      this.remove(entry)
      entry.expire()
    }
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
