import { caller, drainWithin, LinkedList } from '@spillway/kit'
import { freshnessOf } from '../entry/freshness.js'
import { type Held, handOut } from '../entry/l1-entry.js'
import type { ResolvedCall } from '../options.js'
import type { Parts } from '../tiers/cache-context.js'
import { asking, type Loader, refuseCycle } from './context.js'
import { Flight } from './in-flight-load.js'
import { Pilot } from './read-through.js'

/** One caller who wants a key. */
export interface Wish {
  readonly key: string
  readonly loader: Loader<unknown>
  readonly call: ResolvedCall
  readonly signal: AbortSignal | undefined
  readonly again: () => Promise<unknown>
  /** Load anew although a fresh entry is there. */
  readonly anew: boolean
}

/** The searches and loads under way in this process, one per key. */
export class Flights {
  readonly #parts: Parts
  readonly #pilot: Pilot
  readonly #table = new Map<string, Flight>()
  readonly #flying = new LinkedList<Flight>()
  #landed: (() => void) | undefined

  constructor(parts: Parts) {
    this.#parts = parts
    this.#pilot = new Pilot(
      parts,
      (flight) => this.#unlist(flight),
      (flight) => this.#land(flight),
    )
  }

  get size(): number {
    return this.#flying.size
  }

  /** Joins the flight of the key, or begins one. @param stale what may be served when the load fails or takes long */
  join({ key, loader, call, signal, again, anew }: Wish, stale: Held | undefined): Promise<unknown> {
    const { fence, counters } = this.#parts
    const asker = asking()
    const found = this.#current(key)
    if (found !== undefined && !anew && this.#staleDoes(found, call)) {
      counters.stale++
      return Promise.resolve(handOut(found.stale!))
    }
    refuseCycle(asker, this, key, found)
    if (found !== undefined) counters.joins++
    const flight = found ?? this.#begin(key, loader, call, stale, asker)
    if (found === undefined && anew) flight.replaces = 'any'
    const answer = flight.join(fence.clock, signal, found === undefined ? again : here(again), this.#abandon)
    if (found === undefined) this.#fly(flight)
    if (asker === undefined) return answer
    asker.waitsFor.add(flight)
    return answer.finally(() => asker.waitsFor.delete(flight))
  }

  /** Begins a load that nobody waits for, unless one is under way. @param replaces the id of an entry that is fresh */
  refresh(key: string, loader: Loader<unknown>, call: ResolvedCall, stale: Held, replaces?: string): void {
    if (this.#current(key) !== undefined) return
    const flight = this.#begin(key, loader, call, stale, undefined)
    flight.background = true
    flight.replaces = replaces
    this.#fly(flight)
  }

  /** The key has changed: what is under way serves those who wait for it, and nobody else. */
  drop(key: string): void {
    const flight = this.#table.get(key)
    if (flight === undefined) return
    flight.dropped = true
    this.#table.delete(key)
  }

  dropAll(): void {
    for (const flight of [...this.#table.values()]) this.#supersede(flight)
  }

  /** Tags were invalidated: loads of theirs that began before hold up nobody any more, here or on other nodes. */
  dropStale(): void {
    for (const flight of [...this.#table.values()]) if (!this.#isCurrent(flight)) this.#supersede(flight)
  }

  /** Waits for what is under way, and aborts what is left after the time. */
  async close(options: Parameters<typeof drainWithin>[1], reason: Error): Promise<void> {
    if (this.#flying.size > 0) {
      await drainWithin(new Promise<void>((resolve) => (this.#landed = resolve)), options, '5s')
    }
    for (const flight of this.#flying) {
      flight.aborting.abort(reason)
      flight.fail(reason)
    }
  }

  /** Whether the entry that is being replaced is good enough for a caller. */
  #staleDoes({ stale, slow }: Flight, call: ResolvedCall): boolean {
    const { fence, options } = this.#parts
    if (stale === undefined || !fence.current(stale.clock, stale.tags)) return false
    const freshness = freshnessOf(stale, call, options.clock.now(), false)
    return freshness === 'fresh' || freshness === 'revalidate' || (slow && freshness === 'failover')
  }

  /** The flight that a caller may join: none that began before one of its tags was invalidated. */
  #current(key: string): Flight | undefined {
    const found = this.#table.get(key)
    if (found === undefined || this.#isCurrent(found)) return found
    this.#supersede(found)
    return undefined
  }

  #isCurrent({ mark, call }: Flight): boolean {
    return this.#parts.fence.current(mark.clock, call.tags)
  }

  /** A deleted key has lost its lease in the store; after a tag or a clear it must be given back. */
  #supersede(flight: Flight): void {
    this.drop(flight.key)
    flight.letGo?.()
    flight.letGo = undefined
  }

  #begin(
    key: string,
    loader: Loader<unknown>,
    call: ResolvedCall,
    stale: Held | undefined,
    parent: Flight | undefined,
  ): Flight {
    const flight = new Flight(this, key, loader, call, this.#parts.fence.mark(key), parent)
    flight.stale = stale
    this.#table.set(key, flight)
    return flight
  }

  #fly(flight: Flight): void {
    this.#flying.add(flight)
    this.#pilot.fly(flight)
  }

  #land(flight: Flight): void {
    flight.over = true
    // The table that the flight stood in may outlive it, and keep alive what it points to.
    flight.stale = undefined
    this.#unlist(flight)
    // Those who came while the last answers were given.
    flight.redirect()
    this.#flying.delete(flight)
    if (this.#flying.size === 0) this.#landed?.()
  }

  /** Nobody waits any more: the loader is told to stop, and the next caller begins anew. */
  readonly #abandon = (flight: Flight): void => {
    this.#unlist(flight)
    flight.aborting.abort()
  }

  #unlist(flight: Flight): void {
    if (this.#table.get(flight.key) === flight) this.#table.delete(flight.key)
  }
}

/**
 * Whoever joins a flight may be sent to ask anew when it lands, and the flight lands in the context of the caller who began
 * it: the loader of the one who joined must find its own.
 */
function here(again: () => Promise<unknown>): () => Promise<unknown> {
  const joined = caller()
  return () => joined.runInAsyncScope(again)
}
