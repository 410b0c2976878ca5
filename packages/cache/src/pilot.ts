import { randomBytes } from 'node:crypto'
import { sleep } from '@spillway/kit'
import { channels } from './channels.js'
import { type Encoded, encode } from './codec.js'
import { LoadTimeoutError } from './errors.js'
import type { Flight } from './flight.js'
import { freshnessOf, timesOf } from './freshness.js'
import { type Held, hold } from './held.js'
import { type Loaded, runLoader } from './load.js'
import type { Parts } from './parts.js'
import type { Draft, Look, Permit } from './second-tier.js'
import { shapeOf } from './shape.js'

/** How many milliseconds to wait for the process that is loading before asking again, when no message comes. */
const POLL = { first: 10, last: 50, withBus: 250 }

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
  readonly #unlist: (flight: Flight) => void

  /** @param unlist called when later callers must not join the flight any more */
  constructor(parts: Parts, unlist: (flight: Flight) => void) {
    this.#parts = parts
    this.#unlist = unlist
  }

  /** Never rejects. */
  async fly(flight: Flight): Promise<void> {
    const soft = this.#softTimer(flight)
    try {
      const search = this.#parts.second === undefined ? undefined : await this.#search(flight)
      if (search !== 'answered') await this.#load(flight, search)
    } catch (error) {
      flight.fail(error)
    } finally {
      clearTimeout(soft)
    }
  }

  async #search(flight: Flight): Promise<Search> {
    const { key, call } = flight
    const started = performance.now()
    for (let pause = POLL.first; ; pause = Math.min(pause * 2, POLL.last)) {
      const look = await this.#look(flight)
      if (look === undefined) return this.#doWithout(flight)
      if (this.#answers(flight, look)) return 'answered'
      const granted = await this.#ask(flight, look)
      if (typeof granted !== 'string') return granted
      if (granted === 'busy') {
        if (flight.stale !== undefined && this.#allowed(flight, flight.stale)) {
          this.#serveStale(flight, flight.stale, 'lease')
          return 'answered'
        }
        if (flight.background && flight.waiting === 0) return 'answered'
        await this.#change(key, pause, flight.controller.signal)
      }
      if (call.loadTimeout !== false && performance.now() - started > call.loadTimeout) {
        throw new LoadTimeoutError(call.loadTimeout)
      }
    }
  }

  /** `undefined`: the store is away. */
  async #look(flight: Flight): Promise<Look | undefined> {
    const { second, fence } = this.#parts
    const { opening } = second!.guard
    if (opening !== undefined) await opening
    // In an outage this is the way of every miss: it must cost nothing, not even an error.
    if (!second!.guard.usable) {
      second!.guard.probe()
      return undefined
    }
    flight.mark = fence.mark(flight.key)
    try {
      return await second!.look(flight.key, flight.call.tags)
    } catch (error) {
      this.#storeFailed(error)
      return undefined
    }
  }

  /** `undefined`: the store is away, load without a lease. */
  async #ask(flight: Flight, look: Look): Promise<Permit | 'busy' | 'changed' | undefined> {
    const { second, options, counters } = this.#parts
    const token = randomBytes(16).toString('base64url')
    try {
      const granted = await second!.acquire(flight.key, token, options.lease, look)
      if (granted === 'busy') counters.leaseWaits++
      if (granted !== 'changed') this.#lease(granted === 'busy' ? 'busy' : 'acquired')
      return granted
    } catch (error) {
      this.#storeFailed(error)
      return undefined
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
    const held = known ?? this.#parts.second!.unpack(frame, flight.mark.clock)
    if (held === undefined) return false
    if (replaced) {
      flight.stale = held
      return false
    }
    this.#keep(flight, held)
    if (freshness === 'fresh' || freshness === 'early') {
      if (flight.waiting > 0) {
        counters.l2Hits += flight.waiting
        channels.hit.publish(() => ({ cache: options.name, tier: 'l2', stale: false }))
        flight.settle(held)
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
    if (flight.controller.signal.aborted) return this.#giveBack(permit)
    const renewal = permit && setInterval(() => this.#renew(permit), options.lease / 3)
    flight.mark = fence.mark(flight.key)
    flight.dropped = false
    const begun = performance.now()
    counters.loads++
    if (!flight.background) counters.misses++
    let loaded: Loaded
    try {
      loaded = await runLoader(flight, options.name)
    } catch (error) {
      await this.#failed(flight, permit, error)
      return
    } finally {
      clearInterval(renewal)
    }
    this.#parts.failures.forget(flight.key)
    const entry = this.#prepare(flight, loaded)
    if (entry === undefined || loaded.skipped || loaded.ttl === 0 || flight.dropped) {
      this.#unlist(flight)
      if (entry === undefined) flight.settleRaw(loaded.value)
      else flight.settle(entry.held, this.#knownUpTo(flight, entry.held))
      return this.#giveBack(permit)
    }
    const { held, encoded } = entry
    if (permit === undefined || encoded === undefined || !second!.admits(encoded)) {
      this.#finish(flight, held)
      return this.#giveBack(permit)
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
      this.#lease('voided')
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
    const { key, call, mark, controller } = flight
    const now = options.clock.now()
    const abandoned = controller.signal.aborted && !(error instanceof LoadTimeoutError)
    if (!abandoned) {
      counters.loadErrors++
      failures.record(key, error, now, call.errorTtl, mark, call.tags)
      const { stale } = flight
      if (
        stale !== undefined &&
        freshnessOf(stale, call, now, false) !== 'dead' &&
        (await this.#unchanged(permit))
      ) {
        if (this.#allowed(flight, stale)) this.#serveStale(flight, stale, 'error')
      }
    }
    this.#unlist(flight)
    flight.fail(error)
    this.#giveBack(permit)
  }

  /** Turns what the loader brought into an entry; `undefined` when a cache cannot hold it. */
  #prepare({ mark }: Flight, { value, ttl, leniency, tags, milliseconds }: Loaded): Prepared | undefined {
    if (value === undefined) return undefined
    const { options, second } = this.#parts
    try {
      const { plain, bytes } = shapeOf(value)
      const encoded = second && encode(value, plain)
      const times = timesOf(ttl, leniency, options.clock.now(), options.jitter, milliseconds)
      const meta = { ...times, bytes, tags, id: '', clock: mark.clock }
      return { held: hold({ ...meta, value, plain, known: true }, options.share), encoded }
    } catch (error) {
      channels.reject.publish(() => ({ cache: options.name, reason: 'uncacheable', error }))
      return undefined
    }
  }

  /** The next caller finds the entry where it is kept. */
  #finish(flight: Flight, held: Held): void {
    this.#keep(flight, held)
    this.#unlist(flight)
    flight.settle(held, this.#knownUpTo(flight, held))
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

  /** Resolves when another node says that the key has changed, or after the pause. Rejects on abort. */
  async #change(key: string, pause: number, signal: AbortSignal): Promise<void> {
    const { bus } = this.#parts
    const woken = new AbortController()
    const stop = bus.onChange(key, () => woken.abort())
    const milliseconds = (bus.healthy ? POLL.withBus : pause) * (0.75 + Math.random() / 2)
    try {
      await sleep(milliseconds, { signal: AbortSignal.any([signal, woken.signal]), ref: true })
    } catch {
      signal.throwIfAborted()
    } finally {
      stop()
    }
  }

  async #renew({ lease }: Permit): Promise<void> {
    const { second, options } = this.#parts
    try {
      if (!(await second!.guard.run((tier) => tier.renew(lease, options.lease)))) this.#lease('lost')
    } catch (error) {
      this.#storeFailed(error)
    }
  }

  /** Whether nobody wrote or deleted the key since the lease was given. */
  async #unchanged(permit: Permit | undefined): Promise<boolean> {
    if (permit === undefined) return true
    const { second, options } = this.#parts
    return second!.guard.run((tier) => tier.renew(permit.lease, options.lease)).catch(() => true)
  }

  #giveBack(permit: Permit | undefined): void {
    if (permit === undefined) return
    this.#parts
      .second!.guard.run((tier) => tier.release(permit.lease))
      .catch((error) => this.#storeFailed(error))
  }

  #lease(event: 'acquired' | 'busy' | 'lost' | 'voided'): void {
    channels.lease.publish(() => ({ cache: this.#parts.options.name, event }))
  }

  #storeFailed(error: unknown): void {
    channels.reject.publish(() => ({ cache: this.#parts.options.name, reason: 'store', error }))
  }
}
