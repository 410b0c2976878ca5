import { type Clock, closeOnce, defineOptions, having, integer, misuse, monotonicClock } from '@spillway/kit'
import { charged, levelAt, microseconds } from '../../bucket/bucket.js'
import { BucketNames, type Claim } from '../../bucket/bucket-names.js'
import {
  admitted,
  chargedParts,
  combined,
  type Decision,
  type Source,
  standing,
  Terms,
} from '../../bucket/decision.js'
import type { Limit } from '../../bucket/limit.js'
import type { LimiterCounters } from '../../bucket/limiter-counters.js'
import type { BucketSettings, Buckets, Remembered, Store, StoreStats } from '../../bucket/store.js'
import { MemoryTable, NONE, sizesOf } from './memory-table.js'

/** Options of `memoryStore` and `serveClusterStore`. */
export interface MemoryStoreOptions {
  /** Most keys that each limit remembers; a bucket takes about 55 bytes beside its key. Default: 500,000. */
  readonly maxKeys?: number
  /** Milliseconds that never go back. Default: `performance.now()`. */
  readonly clock?: Clock
}

export const MEMORY_STORE_DEFAULTS = Object.freeze({ maxKeys: 500_000, clock: monotonicClock })

export const MEMORY_STORE_CHECKS = {
  maxKeys: integer({ min: 1 }),
  clock: having<Clock>('a clock', 'now'),
} as const

const resolveOptions = defineOptions('limiter', 'memoryStore', MEMORY_STORE_CHECKS, MEMORY_STORE_DEFAULTS)

/** Buckets in this process; decisions are synchronous. */
export function memoryStore(options?: MemoryStoreOptions): MemoryStore {
  return new MemoryStore(options)
}

/** A store in the memory of this process. */
export class MemoryStore implements Store<Decision> {
  readonly #tables = new Map<string, MemoryTable>()
  readonly #names = new BucketNames()
  readonly #maxKeys: number
  readonly #clock: Clock

  constructor(options?: MemoryStoreOptions) {
    const { maxKeys, clock } = resolveOptions(options)
    this.#maxKeys = maxKeys
    this.#clock = clock
  }

  open(limit: Limit, { counters, named, scope }: BucketSettings): MemoryBuckets {
    const claim = this.#names.claim(limit, named, scope)
    return new MemoryBuckets(this.#table(claim.name), this.#clock, limit, counters, 'memory', claim)
  }

  #table(name: string): MemoryTable {
    let table = this.#tables.get(name)
    if (table === undefined) {
      table = new MemoryTable(this.#maxKeys)
      this.#tables.set(name, table)
    }
    return table
  }

  stats(): StoreStats {
    return { store: 'memory', ...sizesOf(this.#tables.values()), calls: 0, failures: 0, up: true }
  }

  readonly close = closeOnce(() => {
    for (const table of this.#tables.values()) table.clear()
  })
}

/** All keys are in the store. */
const NOTHING: Remembered = Object.freeze({ keys: 0, bytes: 0 })

/** The buckets of one limit in memory. */
export class MemoryBuckets implements Buckets<Decision> {
  readonly limits: readonly [Limit]
  readonly #table: MemoryTable
  readonly #clock: Clock
  readonly #limit: Limit
  readonly #counters: LimiterCounters
  /** Of a call of cost 1 under the limiter's own limit. */
  readonly #terms: Terms

  /** Holds the name of the table; without one the buckets belong to no store. */
  readonly #claim: Claim | undefined

  constructor(
    table: MemoryTable,
    clock: Clock,
    limit: Limit,
    counters: LimiterCounters,
    source: Source,
    claim?: Claim,
  ) {
    this.#claim = claim
    this.limits = [limit]
    this.#table = table
    this.#clock = clock
    this.#limit = limit
    this.#counters = counters
    this.#terms = new Terms(limit, 1, source)
    table.noteLimit(limit)
  }

  take(key: string, cost: number, limits?: readonly Limit[], signal?: AbortSignal): Decision {
    if (signal !== undefined) signal.throwIfAborted()
    const limit = limits === undefined ? this.#limit : this.#noted(limits[0]!)
    const terms = this.#terms.with(limit, cost)
    const table = this.#table
    const now = microseconds(this.#clock.now())
    const slot = table.find(key)
    if (slot === NONE) {
      if (cost > limit.capacity) return this.#counters.note(standing(terms, key, 0, 0))
      if (cost > 0) table.insert(key, cost, now, limit)
      this.#counters.allowed++
      return admitted(terms, key, cost)
    }
    const used = table.used(slot)
    const at = table.at(slot)
    const elapsed = now > at ? now - at : 0
    const level = levelAt(used, elapsed, limit) + cost
    if (level > limit.capacity) return this.#counters.note(standing(terms, key, used, elapsed))
    table.write(slot, level, at + elapsed)
    this.#counters.allowed++
    return admitted(terms, key, level)
  }

  peek(key: string, cost: number, limits?: readonly Limit[]): Decision {
    const terms = this.#terms.with(limits?.[0] ?? this.#limit, cost)
    const now = microseconds(this.#clock.now())
    const slot = this.#table.find(key)
    if (slot === NONE) return standing(terms, key, 0, 0)
    const elapsed = Math.max(0, now - this.#table.at(slot))
    return standing(terms, key, this.#table.used(slot), elapsed)
  }

  charge(key: string, cost: number, limits?: readonly Limit[]): Decision {
    const limit = limits === undefined ? this.#limit : this.#noted(limits[0]!)
    const now = microseconds(this.#clock.now())
    const slot = this.#table.find(key)
    const at = slot === NONE ? now : Math.max(now, this.#table.at(slot))
    const before = slot === NONE ? 0 : levelAt(this.#table.used(slot), at - this.#table.at(slot), limit)
    const level = charged(before, cost)
    if (slot !== NONE) this.#table.write(slot, level, at)
    else if (level > 0) this.#table.insert(key, level, at, limit)
    return admitted(this.#terms.with(limit, cost), key, level)
  }

  adjust(decision: Decision, difference: number): Decision {
    return this.charge(decision.key, difference, [decision.limit])
  }

  reset(key: string): Decision {
    this.#table.delete(key)
    return this.peek(key, 0)
  }

  remembered(): Remembered {
    return NOTHING
  }

  join(others: readonly Buckets<Decision>[], counters: LimiterCounters): Buckets<Decision> {
    return new JoinedBuckets([this, ...others], counters)
  }

  async close(): Promise<void> {
    this.#claim?.release()
  }

  #noted(limit: Limit): Limit {
    this.#table.noteLimit(limit)
    return limit
  }
}

/** The buckets of several limits in memory. Looking at all and charging all is one synchronous step, so one decision. */
class JoinedBuckets implements Buckets<Decision> {
  readonly limits: readonly Limit[]
  readonly #members: readonly Buckets<Decision>[]
  readonly #counters: LimiterCounters

  constructor(members: readonly Buckets<Decision>[], counters: LimiterCounters) {
    this.#members = members
    this.#counters = counters
    this.limits = members.flatMap((member) => member.limits)
    if (new Set(this.limits.map(({ name }) => name)).size < this.limits.length) {
      throw misuse(TypeError, 'ERR_LIMITER_JOIN', 'limiters.all() needs limiters with different names')
    }
  }

  take(key: string, cost: number, limits = this.limits, signal?: AbortSignal): Decision {
    signal?.throwIfAborted()
    const before = this.#members.map((member, i) => member.peek(key, cost, [limits[i]!]))
    const decision = combined(before)
    if (!decision.allowed) return this.#counters.note(decision)
    const parts = before.map((part, i) =>
      part.allowed ? this.#members[i]!.charge(key, cost, [part.limit]) : part,
    )
    return this.#counters.note(combined(parts))
  }

  peek(key: string, cost: number, limits = this.limits): Decision {
    return combined(this.#members.map((member, i) => member.peek(key, cost, [limits[i]!])))
  }

  charge(key: string, cost: number, limits = this.limits): Decision {
    return combined(this.#members.map((member, i) => member.charge(key, cost, [limits[i]!])))
  }

  adjust(decision: Decision, difference: number): Decision {
    const charged = chargedParts(decision).map(({ limit }) => {
      const member = this.#members.find(({ limits: [own] }) => own!.name === limit.name)!
      return member.charge(decision.key, difference, [limit])
    })
    return charged.length === 1 ? charged[0]! : combined(charged)
  }

  reset(key: string): Decision {
    return combined(this.#members.map((member) => member.reset(key)))
  }

  remembered(): Remembered {
    return NOTHING
  }

  join(others: readonly Buckets<Decision>[], counters: LimiterCounters): Buckets<Decision> {
    return new JoinedBuckets([...this.#members, ...others], counters)
  }

  async close(): Promise<void> {}
}
