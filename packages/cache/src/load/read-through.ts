import { channels } from '../channels.js'
import { type Encoded, encode, inspectValue } from '../entry/codec.js'
import { createEntry, freshnessOf, type L1Entry, timesOf } from '../entry/entry.js'
import { LoadTimeoutError } from '../errors.js'
import type { CacheContext } from '../tiers/cache-context.js'
import type { L2Read, LoadLease, NewEntry } from '../tiers/l2.js'
import type { InFlightLoad } from './in-flight-load.js'
import { Leases, POLL } from './leases.js'
import { type Loaded, runLoader } from './run-loader.js'

/** What a search ended with: the callers have their answer; or the load may begin, with the right to write, or without. */
type Search = 'answered' | LoadLease | undefined

interface Prepared {
  readonly entry: L1Entry
  /** Left out when there is no store. */
  readonly encoded: Encoded | undefined
}

/** What the table of loads is told. */
export interface ReadThroughListener {
  /** Later callers must not join the load. */
  detach(load: InFlightLoad): void
  /** Every caller has its answer. Must not throw. */
  finished(load: InFlightLoad): void
}

/** Read-through: reads the second tier, takes the lease of the key, runs the loader, writes, answers. */
export class ReadThrough {
  readonly #context: CacheContext
  readonly #leases: Leases
  readonly #listener: ReadThroughListener

  constructor(context: CacheContext, listener: ReadThroughListener) {
    this.#context = context
    this.#leases = new Leases(context)
    this.#listener = listener
  }

  /** Fast path: a hit in the second tier is answered here; only misses enter the async `#goOn`. */
  start(load: InFlightLoad): void {
    load.begin(this.#softTimer(load))
    const look = this.#look(load)
    if (look === 'away') {
      void this.#goOn(load, look)
      return
    }
    look.then(
      (found) => {
        if (found !== 'away' && this.#answered(load, found)) this.#listener.finished(load)
        else void this.#goOn(load, found)
      },
      (error) => {
        this.#storeFailed(error)
        void this.#goOn(load, 'away')
      },
    )
  }

  /** Never rejects. */
  async #goOn(load: InFlightLoad, look: L2Read | 'away'): Promise<void> {
    try {
      const search = await this.#search(load, look)
      if (search !== 'answered') await this.#load(load, search)
    } catch (error) {
      load.fail(error)
    }
    this.#listener.finished(load)
  }

  /** @param look what has been found, and does not answer */
  async #search(load: InFlightLoad, look: L2Read | 'away'): Promise<Search> {
    const { key, call } = load
    const started = performance.now()
    for (let pause = POLL.first; ; pause = Math.min(pause * 2, POLL.last)) {
      if (look === 'away') return this.#doWithout(load)
      const granted = await this.#leases.ask(key, look)
      if (typeof granted !== 'string') return granted
      if (granted === 'busy') {
        if (load.stale !== undefined && this.#allowed(load, load.stale)) {
          this.#serveStale(load, load.stale, 'lease')
          return 'answered'
        }
        if (load.isBackground && load.waiting === 0) return 'answered'
        await this.#leases.change(key, pause, load.abort.signal)
      }
      if (call.loadTimeout !== false && performance.now() - started > call.loadTimeout) {
        throw new LoadTimeoutError(call.loadTimeout)
      }
      try {
        look = await this.#look(load)
      } catch (error) {
        this.#storeFailed(error)
        look = 'away'
      }
      if (look !== 'away' && this.#answers(load, look)) return 'answered'
    }
  }

  /** Every miss of an outage comes by here, so that no error is made. */
  #look(load: InFlightLoad): Promise<L2Read | 'away'> | 'away' {
    const { l2, fence } = this.#context
    if (l2 === undefined) return 'away'
    const guard = l2.guardOf(load.key)
    if (guard.opening !== undefined) return guard.opening.then(() => this.#look(load))
    if (!guard.usable) {
      guard.probe()
      return 'away'
    }
    load.read(fence.mark(load.key))
    return l2.look(load.key, load.call.tags)
  }

  #answered(load: InFlightLoad, look: L2Read): boolean {
    try {
      return this.#answers(load, look)
    } catch (error) {
      load.fail(error)
      return true
    }
  }

  /** The store has just gone away: an entry that was only to be compared with it is good enough. */
  #doWithout(load: InFlightLoad): 'answered' | undefined {
    const { stale, call } = load
    const { options } = this.#context
    if (stale === undefined || load.replaces !== undefined || !this.#allowed(load, stale)) return undefined
    if (freshnessOf(stale, call, options.clock.now(), false) !== 'fresh') return undefined
    load.settle(stale)
    return 'answered'
  }

  /** Answers from what the store holds, if that is good enough. False: a load is needed, perhaps in the background. */
  #answers(load: InFlightLoad, { frame }: L2Read): boolean {
    const { options, counters, failures, fence } = this.#context
    if (frame === undefined) {
      load.offer(undefined)
      load.replace(undefined)
      return false
    }
    if (load.replaces === 'any') load.replace(frame.id)
    const now = options.clock.now()
    const freshness = freshnessOf(frame, load.call, now, options.earlyRefresh)
    if (freshness === 'dead') return false
    const replaced = frame.id === load.replaces
    const enough = freshness === 'fresh' && !replaced
    // Before the value exists: what a long-lived map points to is slow to be collected.
    if (enough) this.#listener.detach(load)
    const known = load.stale?.id === frame.id ? load.stale : undefined
    const entry = known ?? this.#context.l2!.unpack(frame, load.mark.clock, load.call.share)
    if (entry === undefined) return false
    if (replaced) {
      load.offer(entry)
      return false
    }
    this.#keep(load, entry)
    if (freshness === 'fresh' || freshness === 'early') {
      if (load.waiting > 0) {
        counters.l2Hits += load.waiting
        if (channels.hit.active) {
          channels.hit.publish(() => ({ cache: options.name, tier: 'l2', stale: false }))
        }
        load.settle(entry, undefined, enough)
      }
      load.toBackground()
      load.offer(entry)
      return enough
    }
    load.offer(entry)
    const failure = failures.of(load.key)
    const waits = failure !== undefined && now < failure.retryAt
    if (freshness === 'revalidate' || waits) {
      load.toBackground()
      this.#serveStale(load, entry, waits ? 'error' : 'revalidate')
    }
    return waits && fence.current(entry.clock, entry.tags)
  }

  async #load(load: InFlightLoad, permit: LoadLease | undefined): Promise<void> {
    const { l2, fence, options, counters } = this.#context
    if (load.abort.done) return this.#leases.giveBack(permit)
    const renewal = permit && setInterval(() => this.#leases.renew(permit), options.lease / 3)
    load.load(fence.mark(load.key), permit && (() => this.#leases.giveBack(permit)))
    const begun = performance.now()
    counters.loads++
    if (!load.isBackground) {
      counters.misses++
      channels.miss.publish(() => ({ cache: options.name }))
    }
    let loaded: Loaded
    try {
      loaded = await runLoader(load, options.name)
    } catch (error) {
      await this.#failed(load, permit, error)
      return
    } finally {
      clearInterval(renewal)
      load.loaded()
    }
    this.#context.failures.forget(load.key)
    const prepared = this.#prepare(load, loaded)
    // Tags that the loader set are known only now. The store tells their age by a clock that may have been set meanwhile.
    const voided = load.isSuperseded || !fence.current(load.mark.clock, loaded.tags)
    if (prepared === undefined || loaded.skipped || loaded.ttl === 0 || voided) {
      if (permit !== undefined && voided) this.#leases.tell('voided')
      this.#listener.detach(load)
      if (prepared === undefined) load.settleRaw(loaded.value)
      else load.settle(prepared.entry, this.#knownUpTo(load, prepared.entry), true)
      return this.#leases.giveBack(permit)
    }
    const { entry, encoded } = prepared
    if (permit === undefined || encoded === undefined || !l2!.admits(encoded)) {
      this.#finish(load, entry)
      return this.#leases.giveBack(permit)
    }
    await this.#commit(load, permit, entry, { encoded, tags: loaded.tags, times: entry }, begun)
  }

  async #commit(
    load: InFlightLoad,
    permit: LoadLease,
    entry: L1Entry,
    draft: NewEntry,
    begun: number,
  ): Promise<void> {
    const { l2, bus } = this.#context
    const message = bus.write({ kind: 'keys', names: [load.key] })
    let id: string | undefined
    try {
      id = await l2!.commit(permit, draft, begun, message)
    } catch (error) {
      this.#storeFailed(error)
      this.#finish(load, entry)
      return
    }
    if (id === undefined) {
      // Another process wrote or invalidated the key. Callers that came late may have come after that.
      this.#leases.tell('voided')
      this.#listener.detach(load)
      load.settleFirst(entry)
      load.redirect()
      return
    }
    entry.id = id
    this.#finish(load, entry)
  }

  async #failed(load: InFlightLoad, permit: LoadLease | undefined, error: unknown): Promise<void> {
    const { failures, counters, options } = this.#context
    const { key, call, mark, abort } = load
    const now = options.clock.now()
    const abandoned = abort.done && !(error instanceof LoadTimeoutError)
    if (!abandoned) {
      counters.loadErrors++
      failures.record(key, error, now, call.errorTtl, mark, call.tags)
      const { stale } = load
      if (
        stale !== undefined &&
        freshnessOf(stale, call, now, false) !== 'dead' &&
        (await this.#leases.unchanged(permit))
      ) {
        if (this.#allowed(load, stale)) this.#serveStale(load, stale, 'error')
      }
    }
    this.#listener.detach(load)
    load.fail(error)
    this.#leases.giveBack(permit)
  }

  /** Turns what the loader brought into an entry; `undefined` when a cache cannot hold it. */
  #prepare(
    { mark, call }: InFlightLoad,
    { value, ttl, leniency, tags, milliseconds }: Loaded,
  ): Prepared | undefined {
    if (value === undefined) return undefined
    const { options, l2 } = this.#context
    try {
      const shape = inspectValue(value)
      const encoded = l2 && encode(value, shape)
      const times = timesOf(ttl, leniency, options.clock.now(), options.jitter, milliseconds)
      const material = { value, shape, known: true, tags, id: '', clock: mark.clock }
      return { entry: createEntry(material, times, call.share), encoded }
    } catch (error) {
      channels.reject.publish(() => ({ cache: options.name, reason: 'uncacheable', error }))
      return undefined
    }
  }

  /** The next caller finds the entry where it is kept. */
  #finish(load: InFlightLoad, entry: L1Entry): void {
    this.#keep(load, entry)
    this.#listener.detach(load)
    load.settle(entry, this.#knownUpTo(load, entry), true)
  }

  #keep({ key, mark }: InFlightLoad, entry: L1Entry): void {
    const { fence, l1, options } = this.#context
    if (fence.holds(key, mark, entry.tags)) l1.keep(key, entry, fence.clock, options.clock.now())
  }

  /** Latest fence clock at which a waiter may have joined and still accept this value. */
  #knownUpTo({ mark }: InFlightLoad, { tags }: L1Entry): number {
    return this.#context.fence.current(mark.clock, tags) ? Number.POSITIVE_INFINITY : mark.clock
  }

  /** An entry that was invalidated is not served, however useful it were. */
  #allowed(load: InFlightLoad, stale: L1Entry): boolean {
    return !load.isSuperseded && this.#context.fence.current(stale.clock, stale.tags)
  }

  #serveStale(load: InFlightLoad, entry: L1Entry, reason: 'revalidate' | 'error' | 'slow' | 'lease'): void {
    if (load.waiting === 0) return
    const { counters, options } = this.#context
    counters.stale += load.waiting
    channels.stale.publish(() => ({ cache: options.name, reason }))
    load.settle(entry)
  }

  #softTimer(load: InFlightLoad): NodeJS.Timeout | undefined {
    const { softTimeout } = load.call
    if (softTimeout === false) return undefined
    return setTimeout(() => {
      const { stale } = load
      if (stale === undefined || !this.#allowed(load, stale)) return
      load.becomeSlow()
      this.#serveStale(load, stale, 'slow')
    }, softTimeout)
  }

  #storeFailed(error: unknown): void {
    channels.reject.publish(() => ({ cache: this.#context.options.name, reason: 'store', error }))
  }
}
