import { LRUCache } from 'lru-cache'
import type { Bus } from '../coherence/bus.js'
import { earlyFrom, type L1Entry } from '../entry/entry.js'

export interface L1Options {
  readonly maxBytes: number
  readonly maxEntryBytes: number
  /** Milliseconds an entry may be used without a look at the store. */
  readonly ttl: number
  /** Entries are looked at when an early refresh may be due. */
  readonly early: boolean
  /**
   * Tells of other nodes' changes at once; while it is not healthy, each use needs a look at the store. `undefined`: the
   * store has no bus, and entries live for `ttl`.
   */
  readonly bus: Pick<Bus, 'healthy'> | undefined
}

/** Milliseconds between two looks at whether the store is back. */
const TRUST = 100
/** Room beside the value: the entry, its key and its place in the map. */
const OVERHEAD = 200

/** First tier: an LRU cache in this process, bounded in bytes. With `false` for options it keeps nothing. */
export class L1 {
  readonly #options: L1Options | false
  readonly #entries: LRUCache<string, L1Entry>

  constructor(options: L1Options | false) {
    this.#options = options
    this.#entries = new LRUCache(options ? { maxSize: options.maxBytes } : { max: 1 })
  }

  get(key: string): L1Entry | undefined {
    return this.#entries.get(key)
  }

  /** Keeps an entry that is valid now. One that is too large takes the one before it along. */
  keep(key: string, held: L1Entry, clock: number, now: number): void {
    if (this.#options === false) return
    const { maxEntryBytes, ttl, early, bus } = this.#options
    held.clock = clock
    held.verifyAt = bus === undefined || bus.healthy ? now + ttl : 0
    held.hotUntil = Math.min(held.verifyAt, early ? earlyFrom(held) : held.freshUntil)
    if (held.bytes > maxEntryBytes) this.#entries.delete(key)
    else if (this.#entries.peek(key) !== held) {
      this.#entries.set(key, held, { size: held.bytes + key.length * 2 + OVERHEAD })
    }
  }

  /** The store is away: the entry may be used for a moment without a read of the store. */
  trust(held: L1Entry, clock: number, now: number): void {
    held.clock = clock
    held.verifyAt = 0
    held.hotUntil = Math.min(now + TRUST, held.freshUntil)
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }

  stats() {
    return { entries: this.#entries.size, bytes: this.#entries.calculatedSize }
  }
}
