import { levelAt } from '../../bucket/bucket.js'
import { admitted, combined, type Decision, Terms } from '../../bucket/decision.js'
import type { Limit } from '../../bucket/limit.js'
import type { LeaseOptions, Remembered } from '../../bucket/store.js'
import { leasable } from './protocol.js'

interface Lease {
  /** Tokens taken and not spent. */
  tokens: number
  /** Tokens spent since the store was asked last, and when that was. */
  spent: number
  askedAt: number
  usedAt: number
  /** The bucket of each limit in the store, when it was asked last. */
  levels: number[]
  asking: boolean
  /** Calls that came while the store was asked. */
  waiting: Waiter[]
}

interface Waiter {
  readonly cost: number
  serve(paid: Decision | undefined): void
}

/** Most keys with a lease; the store is asked for each call of the others. Busy keys are few. */
const MOST_KEYS = 10_000
/** Of one lease with its key, at most, with a few limits. */
const ENTRY_BYTES = 512

/**
 * Leases: tokens of busy keys that this process has taken in advance. They left the bucket when they were leased, so over
 * any time no more than the limit is admitted, and in a burst at most the unspent leases on top. A lease begins empty; then
 * its size is the tokens that the key spends here in `idle`, at its pace since the store was asked last. A lease unused for
 * `idle` is given back. A lease on several limits is charged in each of them.
 */
export class Leases {
  readonly #leases = new Map<string, Lease>()
  readonly #limits: readonly Limit[]
  readonly #terms: Terms
  readonly #options: LeaseOptions
  readonly #giveBack: (key: string, tokens: number) => Promise<unknown>
  #timer: NodeJS.Timeout | undefined

  constructor(
    limits: readonly Limit[],
    options: LeaseOptions,
    giveBack: (key: string, tokens: number) => Promise<unknown>,
  ) {
    this.#limits = limits
    this.#terms = new Terms(limits[0]!, 1, 'lease')
    this.#options = options
    this.#giveBack = giveBack
  }

  /** Takes the cost from the lease; `undefined` when the lease does not hold that much. */
  spend(key: string, cost: number): Decision | undefined {
    const lease = this.#leases.get(key)
    if (lease === undefined || lease.asking || lease.tokens < cost) return undefined
    return this.#pay(key, lease, cost)
  }

  get remembered(): Remembered {
    return { keys: this.#leases.size, bytes: ENTRY_BYTES * this.#leases.size }
  }

  /** Whether this key has a lease or may have one. */
  admits(key: string): boolean {
    return this.#leases.size < MOST_KEYS || this.#leases.has(key)
  }

  /** Whether the store is asked for this key at present. */
  isAsking(key: string): boolean {
    return this.#leases.get(key)?.asking === true
  }

  /** Queues a call while the store is asked. */
  queue(key: string, cost: number, serve: (paid: Decision | undefined) => void): void {
    this.#leases.get(key)?.waiting.push({ cost, serve })
  }

  /** How many tokens in advance to ask for with a call of this cost. */
  begin(key: string, cost: number): number {
    const now = performance.now()
    const lease = this.#leases.get(key)
    if (lease === undefined) {
      const fresh = {
        tokens: 0,
        spent: cost,
        askedAt: now,
        usedAt: now,
        levels: [],
        asking: true,
        waiting: [],
      }
      this.#leases.set(key, fresh)
      this.#timer ??= setInterval(this.#sweep, this.#options.idle).unref()
      return 0
    }
    const { max, idle } = this.#options
    const spends = (lease.spent * idle) / Math.max(now - lease.askedAt, 0.001)
    lease.spent = cost
    lease.askedAt = now
    lease.usedAt = now
    lease.asking = true
    return Math.max(0, Math.min(Math.ceil(spends), max - Math.ceil(lease.tokens)))
  }

  /**
   * The store has answered: serves queued calls as far as the lease goes, and lets the others ask the store.
   *
   * @param levels the buckets with the cost of the call, or `undefined` when that was not granted
   */
  end(key: string, asked: number, levels: readonly number[] | undefined): void {
    const lease = this.#leases.get(key)
    if (lease === undefined) return
    lease.asking = false
    if (levels !== undefined) {
      const extra = leasable(levels, this.#limits, asked)
      lease.tokens += extra
      lease.levels = levels.map((level) => level + extra)
    }
    const waiting = lease.waiting
    lease.waiting = []
    for (const waiter of waiting) {
      waiter.serve(lease.tokens >= waiter.cost ? this.#pay(key, lease, waiter.cost) : undefined)
    }
  }

  forget(key: string): void {
    const lease = this.#leases.get(key)
    if (lease !== undefined) lease.tokens = 0
  }

  /** Tokens held in advance, over all keys. */
  get held(): number {
    let held = 0
    for (const { tokens } of this.#leases.values()) held += tokens
    return held
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    const leases = [...this.#leases]
    this.#leases.clear()
    await Promise.all(
      leases.filter(([, { tokens }]) => tokens > 0).map(([key, { tokens }]) => this.#giveBack(key, tokens)),
    )
  }

  #pay(key: string, lease: Lease, cost: number): Decision {
    const now = performance.now()
    lease.tokens -= cost
    lease.spent += cost
    const elapsed = (now - lease.usedAt) * 1_000
    lease.usedAt = now
    const limits = this.#limits
    if (limits.length === 1) return this.#partOf(key, lease, cost, elapsed, limits[0]!, 0)
    return combined(limits.map((limit, i) => this.#partOf(key, lease, cost, elapsed, limit, i)))
  }

  #partOf(key: string, lease: Lease, cost: number, elapsed: number, limit: Limit, i: number): Decision {
    const level = levelAt(lease.levels[i]!, elapsed, limit)
    lease.levels[i] = level
    return admitted(this.#terms.with(limit, cost), key, Math.max(0, level - lease.tokens))
  }

  readonly #sweep = (): void => {
    const now = performance.now()
    for (const [key, { asking, tokens, usedAt }] of this.#leases) {
      if (asking || now - usedAt < this.#options.idle) continue
      this.#leases.delete(key)
      if (tokens > 0) this.#giveBack(key, tokens)
    }
    if (this.#leases.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
