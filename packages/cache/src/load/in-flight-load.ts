import type { Linked } from '@spillway/kit'
import { offAbort, onAbort } from '@spillway/kit'
import type { Mark } from '../coherence/fence.js'
import { type Held, handOut, handOver } from '../entry/l1-entry.js'
import type { ResolvedCall } from '../options.js'
import { Aborting } from './lazy-abort.js'
import type { Loader } from './context.js'

/** Somebody who waits for a flight. */
interface Waiter {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** Asks anew, when what this flight brings may be too old for a caller who came late. */
  readonly again: () => Promise<unknown>
  readonly signal: AbortSignal | undefined
  readonly stop: (() => void) | undefined
  /** The fence's clock when it came. */
  readonly clock: number
}

/** One search and load of one key, and everybody who waits for it. */
export class Flight implements Linked {
  /**
   * One is kept: V8 forgets the shape of a class that has no instance at a collection, and drops all code it has compiled
   * for it. A cache that happens to have nothing under way at that moment would be slow for a second.
   */
  static readonly kept = new Flight(
    {},
    '',
    async () => {},
    Object.create(null),
    { generation: 0, clock: 0 },
    undefined,
  )

  /** Neighbours among those under way. */
  next: this | undefined
  previous: this | undefined
  /** The table it stands in. */
  readonly owner: object
  readonly key: string
  readonly loader: Loader<unknown>
  readonly call: ResolvedCall
  /** Taken anew before each look at the store and before the load. */
  mark: Mark
  /** The flight whose loader asked for this one. */
  readonly parent: Flight | undefined
  /** What may be served when the load fails or takes long. */
  stale: Held | undefined
  /** The soft timeout has passed: nobody needs to wait who can have `stale`. */
  slow = false
  /** It goes on although nobody waits. */
  background = false
  /** The id of an entry that it replaces although it is fresh; `'any'`: whichever is found first. */
  replaces: string | undefined
  /** Its key was written or deleted meanwhile; everybody who waits came before that. */
  dropped = false
  /** Gives the lease back before the end of the load, whose result will not be written. */
  letGo: (() => void) | undefined
  /** Ends the patience of those who can have `stale`. */
  soft: NodeJS.Timeout | undefined
  /** It has ended. */
  over = false
  #waiters: Waiter[] = []
  #aborting: Aborting | undefined
  #waitsFor: Set<Flight> | undefined

  constructor(
    owner: object,
    key: string,
    loader: Loader<unknown>,
    call: ResolvedCall,
    mark: Mark,
    parent: Flight | undefined,
  ) {
    this.owner = owner
    this.key = key
    this.loader = loader
    this.call = call
    this.mark = mark
    this.parent = parent
  }

  /** Flights that this one's loader waits for. */
  get waitsFor(): Set<Flight> {
    this.#waitsFor ??= new Set()
    return this.#waitsFor
  }

  get aborting(): Aborting {
    this.#aborting ??= new Aborting()
    return this.#aborting
  }

  get waiting(): number {
    return this.#waiters.length
  }

  /** @param left called when the last waiter has gone and nobody needs the load any more */
  join(
    clock: number,
    signal: AbortSignal | undefined,
    again: () => Promise<unknown>,
    left: (flight: Flight) => void,
  ): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const stop =
        signal &&
        (() => {
          const at = this.#waiters.indexOf(waiter)
          if (at === -1) return
          this.#waiters.splice(at, 1)
          reject(signal.reason)
          if (this.#waiters.length === 0 && !this.background) left(this)
        })
      const waiter: Waiter = { resolve, reject, again, signal, stop, clock }
      if (signal && stop) onAbort(signal, stop)
      this.#waiters.push(waiter)
    })
  }

  /**
   * Answers everybody; who came after the clock stood at `upTo` asks anew, since the value may be too old for them.
   *
   * @param last nobody will be given this entry after them
   */
  settle(held: Held, upTo = Number.POSITIVE_INFINITY, last = false): void {
    const waiters = this.#take()
    for (let i = 0; i < waiters.length; i++) {
      const { resolve, clock, again } = waiters[i]!
      if (clock > upTo) resolve(again())
      // All copies are made before anybody sees the value itself.
      else resolve(last && i === waiters.length - 1 ? handOver(held) : handOut(held))
    }
  }

  /** Answers everybody with a value that is not kept. */
  settleRaw(value: unknown): void {
    for (const { resolve } of this.#take()) resolve(value)
  }

  /** Answers the caller who began: nothing that ended before they asked can be missing from their value. */
  settleFirst(held: Held): void {
    const first = this.#waiters.shift()
    if (first === undefined) return
    release(first)
    first.resolve(handOver(held))
  }

  /** Sends those who still wait to ask anew. */
  redirect(): void {
    for (const { resolve, again } of this.#take()) resolve(again())
  }

  fail(error: unknown): void {
    for (const waiter of this.#take()) waiter.reject(error)
  }

  #take(): Waiter[] {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) release(waiter)
    return waiters
  }
}

function release({ signal, stop }: Waiter): void {
  if (signal && stop) offAbort(signal, stop)
}
