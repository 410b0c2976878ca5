import type { Caller } from '@spillway/kit'

/** What runs on a connection, or waits for its turn there. */
export interface Occupant {
  readonly kind: 'statement' | 'stream'
  /** The asynchronous context of its caller, where channels have listeners. */
  readonly caller: Caller | undefined
  /** Its deadline has passed, or its caller has given up: what is prepared for it is not run any more. */
  readonly isStopping: boolean
  /** Its server is down: it goes to another server if it may. */
  move(): void
}

/** A statement in line on a connection that its user holds. */
export interface Queued extends Occupant {
  /** Its turn has come; `false` when it does not run, since the connection is broken. */
  resume(now: number): boolean
}

/** Where a connection was asked for; formatted when somebody reads it. */
export type Trace = () => string | undefined

/**
 * - `idle`: in the pool, free.
 * - `lent`: used by a call, a transaction, a stream or `withConnection`.
 * - `checking`: asked by the pool whether it still works.
 * - `cleaning`: its session is being reset.
 */
export type UseState = 'idle' | 'lent' | 'checking' | 'cleaning'

/**
 * Pool entry: what the pool records about the use of one connection. Every change is a method here, so that the state
 * and the times that belong to it change together.
 */
export class ConnectionUse {
  #state: UseState = 'lent'
  #since = 0
  #expiresAt = Number.POSITIVE_INFINITY
  #sql: string | undefined
  #trace: Trace | undefined
  #isLeakReported = false
  #occupant: Occupant | undefined
  readonly #queue: Queued[] = []

  get state(): UseState {
    return this.#state
  }

  /** Milliseconds of the pool's clock: when it came into its state. */
  get since(): number {
    return this.#since
  }

  /** The last statement of its user, without values. */
  get sql(): string | undefined {
    return this.#sql
  }

  /** Where its user asked for it, formatted. */
  get trace(): string | undefined {
    return this.#trace?.()
  }

  /** What uses it now. */
  get occupant(): Occupant | undefined {
    return this.#occupant
  }

  /** It is handed out to its next user. */
  lend(now: number): void {
    this.#forgetUser()
    this.#state = 'lent'
    this.#since = now
    this.#isLeakReported = false
  }

  /** Its user is done with it; tells for how many milliseconds it was used. */
  giveBack(now: number): number {
    this.#occupant = undefined
    return now - this.#since
  }

  /** Records where its user asked for it. */
  traceTo(trace: Trace | undefined): void {
    this.#trace = trace
  }

  /** It is free again. */
  putBack(now: number): void {
    this.#forgetUser()
    this.#state = 'idle'
    this.#since = now
  }

  check(now: number): void {
    this.#state = 'checking'
    this.#since = now
  }

  clean(): void {
    this.#state = 'cleaning'
  }

  expireAt(at: number): void {
    this.#expiresAt = at
  }

  isExpired(now: number): boolean {
    return now >= this.#expiresAt
  }

  /** Whether its user holds it for longer than `leakAfter` milliseconds; true once. */
  isNewLeak(now: number, leakAfter: number): boolean {
    if (this.#isLeakReported || this.#state !== 'lent' || now - this.#since < leakAfter) return false
    this.#isLeakReported = true
    return true
  }

  /** A statement or a stream begins on it. */
  occupy(occupant: Occupant, sql: string): void {
    this.#occupant = occupant
    this.#sql = sql
  }

  /** The statement or the stream has left it. */
  vacate(): void {
    this.#occupant = undefined
  }

  /** A statement of the same user waits for its turn. */
  enqueue(statement: Queued): void {
    this.#queue.push(statement)
  }

  withdraw(statement: Queued): void {
    const at = this.#queue.indexOf(statement)
    if (at !== -1) this.#queue.splice(at, 1)
  }

  nextInLine(): Queued | undefined {
    return this.#queue.shift()
  }

  #forgetUser(): void {
    this.#sql = undefined
    this.#trace = undefined
  }
}
