import { type CloseOptions, closeOnce } from '@spillway/kit'
import { channels } from './channels.js'
import type { Fence } from './coherence/fence.js'
import { encode, inspectValue } from './entry/codec.js'
import {
  copyFor,
  createEntry,
  freshnessOf,
  type L1Entry,
  moveOut,
  promiseOf,
  timesOf,
} from './entry/entry.js'
import { CacheClosedError } from './errors.js'
import { type CacheKey, encodeKey } from './key.js'
import { Invalidation } from './load/invalidation.js'
import type { Loader } from './load/loader.js'
import { SingleFlight } from './load/single-flight.js'
import {
  type CacheOptions,
  type CallOptions,
  callResolver,
  type EntryOptions,
  type ResolvedCacheOptions,
  type ResolvedCall,
  resolveCacheOptions,
  resolveTags,
  type WrapOptions,
} from './options.js'
import { type CacheStats, statsOf } from './stats.js'
import { type CacheContext, createContext } from './tiers/cache-context.js'
import type { L1 } from './tiers/l1.js'
import type { NewEntry } from './tiers/l2.js'

/**
 * A cache-aside cache of one or two tiers: this process, and a store that all processes share.
 *
 * ```ts
 * const cache = new Cache({ store: redisStore(redis), ttl: '1m' })
 * const user = await cache.getOrSet(['user', id], () => db.user(id), { tags: ['users'] })
 * ```
 *
 * One load per key runs at a time, in the whole cluster when the store is there. A delete, a set or a tag's
 * invalidation wins over every load that began before it. Errors of the loader reach the callers as they are;
 * errors of the store never do.
 */
export class Cache implements AsyncDisposable {
  readonly name: string
  readonly #options: ResolvedCacheOptions
  readonly #context: CacheContext
  readonly #l1: L1
  readonly #fence: Fence
  readonly #singleFlight: SingleFlight
  readonly #invalidation: Invalidation
  readonly #resolve: (given: CallOptions | undefined) => ResolvedCall
  #closed = false

  /** @throws TypeError | RangeError `ERR_CACHE_OPTION` naming the option and what is allowed */
  constructor(options: CacheOptions = {}) {
    this.#options = resolveCacheOptions(options)
    this.name = this.#options.name
    this.#resolve = callResolver(this.#options)
    this.#context = createContext(this.#options, (debt, send) => this.#invalidation.replay(debt, send))
    this.#fence = this.#context.fence
    this.#l1 = this.#context.l1
    this.#singleFlight = new SingleFlight(this.#context)
    this.#invalidation = new Invalidation(this.#context, this.#singleFlight)
    this.#context.l2?.listen(this.#invalidation)
  }

  /**
   * The value of the key; when there is none, what the loader returns, which is stored (unless it is `undefined`).
   *
   * @throws whatever the loader throws, unchanged, for every caller who waits for it
   * @throws LoadTimeoutError when it takes longer than `loadTimeout`
   * @throws ReentrantLoadError when it waits for itself
   * @throws the reason of `options.signal` when that aborts
   */
  getOrSet<T>(key: CacheKey, loader: Loader<T>, options?: CallOptions): Promise<T> {
    try {
      const text = encodeKey(key)
      const held = this.#l1.get(text)
      if (
        held !== undefined &&
        held.clock === this.#fence.clock &&
        this.#options.clock.now() < held.hotUntil &&
        options?.refresh !== true
      ) {
        return this.#hit(held) as Promise<T>
      }
      return this.#find(text, loader, options) as Promise<T>
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * The fresh value of the key if this process holds it: at once, without a promise and without a look at the store.
   * `undefined` says nothing about the store; `get` does.
   */
  peek<T = unknown>(key: CacheKey): T | undefined {
    const held = this.#l1.get(encodeKey(key))
    if (held === undefined || held.clock !== this.#fence.clock || this.#now() >= held.hotUntil)
      return undefined
    this.#countHit()
    return copyFor(held) as T
  }

  /** The fresh value of the key, or `undefined`. */
  async get<T = unknown>(key: CacheKey): Promise<T | undefined> {
    const [value] = await this.getMany<T>([key])
    return value
  }

  /** The fresh values of the keys in their order, `undefined` for those that are not there, in one round trip. */
  async getMany<T = unknown>(keys: readonly CacheKey[]): Promise<(T | undefined)[]> {
    this.#admit()
    const values = new Array<unknown>(keys.length)
    const open: Open[] = []
    for (const [at, given] of keys.entries()) {
      const key = encodeKey(given)
      const held = this.#trusted(key, this.#valid(key), this.#now())
      if (held !== undefined && this.#now() < held.freshUntil) values[at] = await this.#hit(held)
      else open.push({ at, key })
    }
    if (open.length > 0) await this.#lookUp(open, values)
    return values as (T | undefined)[]
  }

  /**
   * Stores a value. It wins over every load that began before. `undefined`, and a `ttl` of 0 or less, delete the key.
   *
   * @throws UncacheableValueError for functions, symbols and class instances
   */
  async set(key: CacheKey, value: unknown, options?: EntryOptions): Promise<void> {
    this.#admit()
    const text = encodeKey(key)
    const call = this.#resolve(options)
    if (value === undefined || call.ttl === 0) return this.#invalidation.keys([text])
    const { l2, bus } = this.#context
    const shape = inspectValue(value)
    const encoded = l2 && encode(value, shape)
    const times = timesOf(call.ttl, call, this.#now(), this.#options.jitter, 0)
    const material = { value, shape, known: true, tags: call.tags, id: '', clock: 0 }
    const held = createEntry(material, times, call.share)
    if (encoded !== undefined && !l2?.admits(encoded)) return this.#invalidation.keys([text])
    this.#invalidation.touch(text)
    const mark = this.#fence.mark(text)
    if (encoded !== undefined) {
      const message = bus.write({ kind: 'keys', names: [text] })
      held.id = await this.#write(text, { encoded, tags: call.tags, times }, message)
    }
    const last = this.#fence.holds(text, mark, call.tags)
    this.#invalidation.touch(text)
    if (last) this.#l1.keep(text, held, this.#fence.clock, this.#now())
  }

  /**
   * Milliseconds since 1970 by the clock that the times of the key's entry are by: that of the store, so that nodes whose
   * clocks differ agree, as far as it is known; without a store that of this cache.
   */
  now(key: CacheKey): number {
    const { l2 } = this.#context
    return l2 === undefined ? this.#now() : l2.now(encodeKey(key))
  }

  /** Deletes the key on all nodes. A load that began before is not stored, and callers after this begin a new one. */
  async delete(key: CacheKey): Promise<void> {
    this.#admit()
    return this.#invalidation.keys([encodeKey(key)])
  }

  async deleteMany(keys: readonly CacheKey[]): Promise<void> {
    this.#admit()
    if (keys.length > 0) await this.#invalidation.keys(keys.map(encodeKey))
  }

  /** Invalidates all entries with the tag, or with any of the tags: one command each, however many entries. */
  async deleteByTag(tags: string | readonly string[]): Promise<void> {
    this.#admit()
    const list = resolveTags(typeof tags === 'string' ? [tags] : tags)
    if (list.length > 0) await this.#invalidation.tags(list)
  }

  /** Invalidates everything in this cache's namespace, in one command. */
  async clear(): Promise<void> {
    this.#admit()
    return this.#invalidation.everything()
  }

  /** A function that answers from the cache: `const user = cache.wrap(loadUser, { key: (id) => ['user', id] })`. */
  wrap<Args extends unknown[], T>(fn: (...args: Args) => T | Promise<T>, options: WrapOptions<Args>) {
    const { key, ...rest } = options
    const call = Object.freeze(rest)
    this.#resolve(call)
    return (...args: Args): Promise<T> => this.getOrSet(key(...args), () => fn(...args), call)
  }

  stats(): CacheStats {
    return statsOf(this.#context, this.#singleFlight.size)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Stops admitting, waits for loads under way (5 s by default), closes what it opened. The store's client is yours. */
  readonly close: (options?: CloseOptions) => Promise<void> = closeOnce(async (options) => {
    this.#closed = true
    this.#l1.clear()
    await this.#singleFlight.close(options, new CacheClosedError())
    this.#l1.clear()
    await this.#context.l2?.close()
  })

  #find(key: string, loader: Loader<unknown>, options: CallOptions | undefined): Promise<unknown> {
    this.#admit()
    const call = this.#resolve(options)
    const now = this.#now()
    const failure = this.#context.failures.of(key)
    const pausing = failure !== undefined && now < failure.retryAt
    const anew = options?.refresh === true
    const valid = this.#valid(key)
    const held = anew ? undefined : this.#trusted(key, valid, now)
    if (held !== undefined) {
      switch (freshnessOf(held, call, now, this.#options.earlyRefresh)) {
        case 'fresh':
          return this.#hit(held)
        case 'early':
          if (!pausing) this.#singleFlight.refresh(key, loader, call, held, held.id)
          return this.#hit(held)
        case 'revalidate':
          if (!pausing) this.#singleFlight.refresh(key, loader, call, held)
          return this.#hitStale(held, 'revalidate')
        case 'failover':
          if (pausing) return this.#hitStale(held, 'error')
      }
    }
    if (failure !== undefined && now < failure.until && !anew) return Promise.reject(failure.error)
    const again = () => this.#find(key, loader, options)
    return this.#singleFlight.join({ key, loader, call, signal: options?.signal, again, anew }, valid)
  }

  /** An entry that was not invalidated as far as this process knows. */
  #valid(key: string): L1Entry | undefined {
    const held = this.#l1.get(key)
    return held !== undefined && this.#fence.current(held.clock, held.tags) ? held : undefined
  }

  /** A valid entry, if it may be used without a look at the store. */
  #trusted(key: string, valid: L1Entry | undefined, now: number): L1Entry | undefined {
    if (valid === undefined) return undefined
    const guard = this.#context.l2?.guardOf(key)
    if (guard !== undefined && !guard.usable) this.#l1.trust(valid, this.#fence.clock, now)
    else if (guard !== undefined && (now >= valid.verifyAt || this.#fence.doubts(valid.clock)))
      return undefined
    else valid.clock = this.#fence.clock
    return valid
  }

  async #lookUp(open: readonly Open[], values: unknown[]): Promise<void> {
    const { l2, counters } = this.#context
    let found = 0
    const marks = open.map(({ key }) => this.#fence.mark(key))
    const looks = await l2?.lookMany(open.map(({ key }) => key))
    const { share } = this.#resolve(undefined)
    for (const [i, { at, key }] of open.entries()) {
      const frame = looks?.get(key)?.frame
      if (frame === undefined || this.#now() >= frame.freshUntil) continue
      const known = this.#valid(key)
      const held = known?.id === frame.id ? known : l2!.unpack(frame, marks[i]!.clock, share)
      if (held === undefined) continue
      if (this.#fence.holds(key, marks[i]!, held.tags)) {
        this.#l1.keep(key, held, this.#fence.clock, this.#now())
      }
      values[at] = moveOut(held)
      found++
    }
    counters.l2Hits += found
    counters.misses += open.length - found
    if (found > 0) channels.hit.publish(() => ({ cache: this.name, tier: 'l2', stale: false }))
    if (found < open.length) channels.miss.publish(() => ({ cache: this.name }))
  }

  /** The id of the entry; `''` when it was not written: then whatever stands there must go, as soon as possible. */
  async #write(key: string, draft: NewEntry, message: string): Promise<string> {
    const guard = this.#context.l2!.guardOf(key)
    try {
      if (guard.opening !== undefined) await guard.opening
      return await this.#context.l2!.write(key, draft, message)
    } catch (error) {
      guard.recovery.key(key)
      guard.probe()
      this.#storeFailed(error)
      return ''
    }
  }

  #hit(held: L1Entry): Promise<unknown> {
    this.#countHit()
    return promiseOf(held)
  }

  #countHit(): void {
    this.#context.counters.l1Hits++
    if (channels.hit.active) channels.hit.publish(() => ({ cache: this.name, tier: 'l1', stale: false }))
  }

  #hitStale(held: L1Entry, reason: 'revalidate' | 'error'): Promise<unknown> {
    this.#context.counters.stale++
    channels.hit.publish(() => ({ cache: this.name, tier: 'l1', stale: true }))
    channels.stale.publish(() => ({ cache: this.name, reason }))
    return promiseOf(held)
  }

  #storeFailed(error: unknown): void {
    channels.reject.publish(() => ({ cache: this.name, reason: 'store', error }))
  }

  #now(): number {
    return this.#options.clock.now()
  }

  #admit(): void {
    if (this.#closed) throw new CacheClosedError()
  }
}

interface Open {
  readonly at: number
  readonly key: string
}
