import { channels } from '../channels.js'
import { type Encoded, encode } from '../entry/codec.js'
import { freshnessOf, timesOf } from '../entry/freshness.js'
import { type Held, hold } from '../entry/l1-entry.js'
import { shapeOf } from '../entry/inspect-value.js'
import { LoadTimeoutError } from '../errors.js'
import type { Parts } from '../tiers/cache-context.js'
import type { Draft, Look, Permit } from '../tiers/l2.js'
import type { Flight } from './in-flight-load.js'
import { Leases, POLL } from './leases.js'
import { type Loaded, runLoader } from './run-loader.js'

/** What a search ended with: the callers have their answer; or the load may begin, with the right to write, or without. */
type Search = 'answered' | Permit | undefined

interface Prepared {
  readonly held: Held
  /** Left out when there is no store. */
  readonly encoded: Encoded | undefined
}

/** Flies one flight: looks in the store, gets the lease, loads, writes, answers. */
export class Pilot {
  readonly #parts: Parts
  readonly #leases: Leases
  readonly #unlist: (flight: Flight) => void
  readonly #landed: (flight: Flight) => void

  /**
   * @param unlist called when later callers must not join the flight any more
   * @param landed called when it is over; must not throw
   */
  constructor(parts: Parts, unlist: (flight: Flight) => void, landed: (flight: Flight) => void) {
    this.#parts = parts
    this.#leases = new Leases(parts)
    this.#unlist = unlist
    this.#landed = landed
  }

  /** Most flights are answered by the first look: those take no longer way than that. */
  fly(flight: Flight): void {
    flight.soft = this.#softTimer(flight)
    const look = this.#look(flight)
    if (look === 'away') {
      void this.#goOn(flight, look)
      return
    }
    look.then(
      (found) => {
        if (found !== 'away' && this.#answered(flight, found)) this.#land(flight)
        else void this.#goOn(flight, found)
      },
      (error) => {
        this.#storeFailed(error)
        void this.#goOn(flight, 'away')
      },
    )
  }

  /** Never rejects. */
  async #goOn(flight: Flight, look: Look | 'away'): Promise<void> {
    try {
      const search = await this.#search(flight, look)
      if (search !== 'answered') await this.#load(flight, search)
    } catch (error) {
      flight.fail(error)
    }
    this.#land(flight)
  }

  #land(flight: Flight): void {
    clearTimeout(flight.soft)
    this.#landed(flight)
  }

  /** @param look what has been found, and does not answer */
  async #search(flight: Flight, look: Look | 'away'): Promise<Search> {
    const { key, call } = flight
    const started = performance.now()
    for (let pause = POLL.first; ; pause = Math.min(pause * 2, POLL.last)) {
      if (look === 'away') return this.#doWithout(flight)
      const granted = await this.#leases.ask(key, look)
      if (typeof granted !== 'string') return granted
      if (granted === 'busy') {
        if (flight.stale !== undefined && this.#allowed(flight, flight.stale)) {
          this.#serveStale(flight, flight.stale, 'lease')
          return 'answered'
        }
        if (flight.background && flight.waiting === 0) return 'answered'
        await this.#leases.change(key, pause, flight.aborting.signal)
      }
      if (call.loadTimeout !== false && performance.now() - started > call.loadTimeout) {
        throw new LoadTimeoutError(call.loadTimeout)
      }
      try {
        look = await this.#look(flight)
      } catch (error) {
        this.#storeFailed(error)
        look = 'away'
      }
      if (look !== 'away' && this.#answers(flight, look)) return 'answered'
    }
  }

  /** In an outage this is the way of every miss: it must cost nothing, not even an error. */
  #look(flight: Flight): Promise<Look | 'away'> | 'away' {
    const { second, fence } = this.#parts
    if (second === undefined) return 'away'
    const guard = second.guardOf(flight.key)
    if (guard.opening !== undefined) return guard.opening.then(() => this.#look(flight))
    if (!guard.usable) {
      guard.probe()
      return 'away'
    }
    flight.mark = fence.mark(flight.key)
    return second.look(flight.key, flight.call.tags)
  }

  #answered(flight: Flight, look: Look): boolean {
    try {
      return this.#answers(flight, look)
    } catch (error) {
      flight.fail(error)
      return true
    }
  }

  /** The store has just gone away: an entry that was only to be compared with it is good enough. */
  #doWithout(flight: Flight): 'answered' | undefined {
    const { stale, call } = flight
    const { options } = this.#parts
    if (stale === undefined || flight.replaces !== undefined || !this.#allowed(flight, stale))
      return undefined
    if (freshnessOf(stale, call, options.clock.now(), false) !== 'fresh') return undefined
    flight.settle(stale)
    return 'answered'
  }

  /** Answers from what the store holds, if that is good enough. False: a load is needed, perhaps in the background. */
  #answers(flight: Flight, { frame }: Look): boolean {
    const { options, counters, failures, fence } = this.#parts
    if (frame === undefined) {
      flight.stale = undefined
      flight.replaces = undefined
      return false
    }
    if (flight.replaces === 'any') flight.replaces = frame.id
    const now = options.clock.now()
    const freshness = freshnessOf(frame, flight.call, now, options.earlyRefresh)
    if (freshness === 'dead') return false
    const replaced = frame.id === flight.replaces
    const enough = freshness === 'fresh' && !replaced
    // Before the value exists: what a long-lived map points to is slow to be collected.
    if (enough) this.#unlist(flight)
    const known = flight.stale?.id === frame.id ? flight.stale : undefined
    const held = known ?? this.#parts.second!.unpack(frame, flight.mark.clock, flight.call.share)
    if (held === undefined) return false
    if (replaced) {
      flight.stale = held
      return false
    }
    this.#keep(flight, held)
    if (freshness === 'fresh' || freshness === 'early') {
      if (flight.waiting > 0) {
        counters.l2Hits += flight.waiting
        if (channels.hit.active) {
          channels.hit.publish(() => ({ cache: options.name, tier: 'l2', stale: false }))
        }
        flight.settle(held, undefined, enough)
      }
      flight.background = true
      flight.stale = held
      return enough
    }
    flight.stale = held
    const failure = failures.of(flight.key)
    const waits = failure !== undefined && now < failure.retryAt
    if (freshness === 'revalidate' || waits) {
      flight.background = true
      this.#serveStale(flight, held, waits ? 'error' : 'revalidate')
    }
    return waits && fence.current(held.clock, held.tags)
  }

  async #load(flight: Flight, permit: Permit | undefined): Promise<void> {
    const { second, fence, options, counters } = this.#parts
    if (flight.aborting.done) return this.#leases.giveBack(permit)
    const renewal = permit && setInterval(() => this.#leases.renew(permit), options.lease / 3)
    flight.mark = fence.mark(flight.key)
    flight.dropped = false
    flight.letGo = permit && (() => this.#leases.giveBack(permit))
    const begun = performance.now()
    counters.loads++
    if (!flight.background) {
      counters.misses++
      channels.miss.publish(() => ({ cache: options.name }))
    }
    let loaded: Loaded
    try {
      loaded = await runLoader(flight, options.name)
    } catch (error) {
      await this.#failed(flight, permit, error)
      return
    } finally {
      clearInterval(renewal)
      flight.letGo = undefined
    }
    this.#parts.failures.forget(flight.key)
    const entry = this.#prepare(flight, loaded)
    // Tags that the loader set are known only now. The store tells their age by a clock that may have been set meanwhile.
    const voided = flight.dropped || !fence.current(flight.mark.clock, loaded.tags)
    if (entry === undefined || loaded.skipped || loaded.ttl === 0 || voided) {
      if (permit !== undefined && voided) this.#leases.tell('voided')
      this.#unlist(flight)
      if (entry === undefined) flight.settleRaw(loaded.value)
      else flight.settle(entry.held, this.#knownUpTo(flight, entry.held), true)
      return this.#leases.giveBack(permit)
    }
    const { held, encoded } = entry
    if (permit === undefined || encoded === undefined || !second!.admits(encoded)) {
      this.#finish(flight, held)
      return this.#leases.giveBack(permit)
    }
    await this.#commit(flight, permit, held, { encoded, tags: loaded.tags, times: held }, begun)
  }

  async #commit(flight: Flight, permit: Permit, held: Held, draft: Draft, begun: number): Promise<void> {
    const { second, bus } = this.#parts
    const message = bus.write({ kind: 'keys', names: [flight.key] })
    let id: string | undefined
    try {
      id = await second!.commit(permit, draft, begun, message)
    } catch (error) {
      this.#storeFailed(error)
      this.#finish(flight, held)
      return
    }
    if (id === undefined) {
      // Somebody else wrote or invalidated. Who came late may have come after that.
      this.#leases.tell('voided')
      this.#unlist(flight)
      flight.settleFirst(held)
      flight.redirect()
      return
    }
    held.id = id
    this.#finish(flight, held)
  }

  async #failed(flight: Flight, permit: Permit | undefined, error: unknown): Promise<void> {
    const { failures, counters, options } = this.#parts
    const { key, call, mark, aborting } = flight
    const now = options.clock.now()
    const abandoned = aborting.done && !(error instanceof LoadTimeoutError)
    if (!abandoned) {
      counters.loadErrors++
      failures.record(key, error, now, call.errorTtl, mark, call.tags)
      const { stale } = flight
      if (
        stale !== undefined &&
        freshnessOf(stale, call, now, false) !== 'dead' &&
        (await this.#leases.unchanged(permit))
      ) {
        if (this.#allowed(flight, stale)) this.#serveStale(flight, stale, 'error')
      }
    }
    this.#unlist(flight)
    flight.fail(error)
    this.#leases.giveBack(permit)
  }

  /** Turns what the loader brought into an entry; `undefined` when a cache cannot hold it. */
  #prepare(
    { mark, call }: Flight,
    { value, ttl, leniency, tags, milliseconds }: Loaded,
  ): Prepared | undefined {
    if (value === undefined) return undefined
    const { options, second } = this.#parts
    try {
      const shape = shapeOf(value)
      const encoded = second && encode(value, shape)
      const times = timesOf(ttl, leniency, options.clock.now(), options.jitter, milliseconds)
      const material = { value, shape, known: true, tags, id: '', clock: mark.clock }
      return { held: hold(material, times, call.share), encoded }
    } catch (error) {
      channels.reject.publish(() => ({ cache: options.name, reason: 'uncacheable', error }))
      return undefined
    }
  }

  /** The next caller finds the entry where it is kept. */
  #finish(flight: Flight, held: Held): void {
    this.#keep(flight, held)
    this.#unlist(flight)
    flight.settle(held, this.#knownUpTo(flight, held), true)
  }

  #keep({ key, mark }: Flight, held: Held): void {
    const { fence, first, options } = this.#parts
    if (fence.holds(key, mark, held.tags)) first.keep(key, held, fence.clock, options.clock.now())
  }

  /** Until when callers may have come for whom this value is new enough. */
  #knownUpTo({ mark }: Flight, { tags }: Held): number {
    return this.#parts.fence.current(mark.clock, tags) ? Number.POSITIVE_INFINITY : mark.clock
  }

  /** An entry that was invalidated is not served, however useful it were. */
  #allowed(flight: Flight, stale: Held): boolean {
    return !flight.dropped && this.#parts.fence.current(stale.clock, stale.tags)
  }

  #serveStale(flight: Flight, held: Held, reason: 'revalidate' | 'error' | 'slow' | 'lease'): void {
    if (flight.waiting === 0) return
    const { counters, options } = this.#parts
    counters.stale += flight.waiting
    channels.stale.publish(() => ({ cache: options.name, reason }))
    flight.settle(held)
  }

  #softTimer(flight: Flight): NodeJS.Timeout | undefined {
    const { softTimeout } = flight.call
    if (softTimeout === false) return undefined
    return setTimeout(() => {
      const { stale } = flight
      if (stale === undefined || !this.#allowed(flight, stale)) return
      flight.background = true
      flight.slow = true
      this.#serveStale(flight, stale, 'slow')
    }, softTimeout)
  }

  #storeFailed(error: unknown): void {
    channels.reject.publish(() => ({ cache: this.#parts.options.name, reason: 'store', error }))
  }
}
