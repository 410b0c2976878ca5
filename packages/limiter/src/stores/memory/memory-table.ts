import { levelAt } from '../../bucket/bucket.js'
import type { Limit } from '../../bucket/limit.js'

/** Doubles per bucket: `used`, `at`. */
const WIDTH = 2
const FIRST_SLOTS = 64
/** Up to here the slab doubles; beyond, it grows by a quarter, which keeps the spare room small. */
const DOUBLE_UP_TO = 4_096
const SWEEP_PER_INSERT = 2
const EVICTION_SAMPLE = 8

/** Of an entry of the Map, and of a string beside its characters. */
const ENTRY_BYTES = 64

/** No slot: the table has no bucket for the key. */
export const NONE = -1

/**
 * Slab table with the buckets of one limit: one hash look-up to a slot, two doubles beside each other. It has no timers:
 * each insertion looks at two other keys and drops those that are full again, which changes no decision, since a missing
 * bucket is a full one. At `maxKeys` the bucket nearest to full of a sample is evicted, so that fresh keys do not free an
 * offender; the tokens that an eviction forgives are counted.
 */
export class MemoryTable {
  readonly #slots = new Map<string, number>()
  readonly #maxKeys: number
  #slab = new Float64Array(FIRST_SLOTS * WIDTH)
  #characters = 0
  /** Slots handed out so far. */
  #used = 0
  /** Head of the list of free slots; each holds the next one in place of `used`. */
  #free = NONE
  /** The position of the sweep; a Map's iterator survives changes to the Map. */
  #sweep: Iterator<string, undefined> = this.#slots.keys()
  /** The slowest limit that a call had: a bucket that is full for it is full for all. */
  #slowest: Limit | undefined
  evictions = 0
  forgivenTokens = 0

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys
  }

  get size(): number {
    return this.#slots.size
  }

  /** Upper estimate of the bytes that the buckets and their keys take. */
  get bytes(): number {
    return this.#slab.byteLength + ENTRY_BYTES * this.#slots.size + 2 * this.#characters
  }

  /** The slot of a key, or {@link NONE}. */
  find(key: string): number {
    return this.#slots.get(key) ?? NONE
  }

  /** Tokens in use at {@link at}. */
  used(slot: number): number {
    return this.#slab[slot * WIDTH]!
  }

  /** Microseconds. */
  at(slot: number): number {
    return this.#slab[slot * WIDTH + 1]!
  }

  write(slot: number, used: number, at: number): void {
    this.#slab[slot * WIDTH] = used
    this.#slab[slot * WIDTH + 1] = at
  }

  insert(key: string, used: number, at: number, limit: Limit): void {
    this.noteLimit(limit)
    this.#sweepSome(at)
    if (this.#slots.size >= this.#maxKeys) this.#evict(at)
    const slot = this.#allocate()
    this.write(slot, used, at)
    this.#slots.set(key, slot)
    this.#characters += key.length
  }

  #keepSlowest(limit: Limit): void {
    const slowest = this.#slowest
    if (slowest === undefined || limit.tokens * slowest.micros < slowest.tokens * limit.micros) {
      this.#slowest = limit
    }
  }

  /** Makes the sweep wait for this limit, too, before it takes a bucket for full. */
  noteLimit(limit: Limit): void {
    if (limit !== this.#slowest) this.#keepSlowest(limit)
  }

  delete(key: string): void {
    const slot = this.#slots.get(key)
    if (slot === undefined) return
    this.#slots.delete(key)
    this.#characters -= key.length
    this.#slab[slot * WIDTH] = this.#free
    this.#free = slot
  }

  clear(): void {
    this.#slots.clear()
    this.#characters = 0
    this.#slab = new Float64Array(FIRST_SLOTS * WIDTH)
    this.#used = 0
    this.#free = NONE
  }

  #allocate(): number {
    if (this.#free !== NONE) {
      const slot = this.#free
      this.#free = this.#slab[slot * WIDTH]!
      return slot
    }
    const slots = this.#slab.length / WIDTH
    if (this.#used === slots) {
      const grown = slots < DOUBLE_UP_TO ? slots * 2 : Math.ceil(slots * 1.25)
      const slab = new Float64Array(Math.min(grown, Math.max(this.#maxKeys, slots + 1)) * WIDTH)
      slab.set(this.#slab)
      this.#slab = slab
    }
    return this.#used++
  }

  #sweepSome(now: number): void {
    for (let i = 0; i < SWEEP_PER_INSERT; i++) {
      const key = this.#nextKey()
      if (key === undefined) return
      if (this.#levelOf(key, now) === 0) this.delete(key)
    }
  }

  #evict(now: number): void {
    let fullest: string | undefined
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < EVICTION_SAMPLE; i++) {
      const key = this.#nextKey()
      if (key === undefined) break
      const level = this.#levelOf(key, now)
      if (level < least) {
        least = level
        fullest = key
      }
    }
    if (fullest === undefined) return
    this.delete(fullest)
    if (least > 0) {
      this.evictions++
      this.forgivenTokens += least
    }
  }

  #levelOf(key: string, now: number): number {
    const slot = this.find(key)
    return levelAt(this.used(slot), Math.max(0, now - this.at(slot)), this.#slowest!)
  }

  /** The next key of the round; `undefined` only when there is none at all. */
  #nextKey(): string | undefined {
    const next = this.#sweep.next()
    if (!next.done) return next.value
    this.#sweep = this.#slots.keys()
    return this.#sweep.next().value
  }
}

/** Figures of tables. */
export interface TableSizes {
  readonly keys: number
  readonly bytes: number
  readonly evictions: number
  readonly forgivenTokens: number
}

/** The sums over several tables. */
export function sizesOf(tables: Iterable<MemoryTable>): TableSizes {
  const sizes = { keys: 0, bytes: 0, evictions: 0, forgivenTokens: 0 }
  for (const table of tables) {
    sizes.keys += table.size
    sizes.bytes += table.bytes
    sizes.evictions += table.evictions
    sizes.forgivenTokens += table.forgivenTokens
  }
  return sizes
}
