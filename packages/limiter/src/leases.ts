import { levelAt } from './bucket.js'
import { admitted, type Decision } from './decision.js'
import type { Limit } from './limit.js'
import type { LeaseOptions } from './store.js'
import { leasable } from './wire.js'

interface Lease {
  /** Tokens paid for and not spent. */
  tokens: number
  /** How many to ask for next time. */
  size: number
  usedAt: number
  /** The bucket in the store, when it was asked last. */
  level: number
  asked: boolean
  /** Calls that came while the store was being asked. */
  waiting: Waiter[]
}

interface Waiter {
  readonly cost: number
  serve(decision: Decision | undefined): void
}

/**
 * Tokens of busy keys that this process has paid for in advance. They left the bucket when they were leased, so over
 * any time no more than the limit is admitted, and in a burst at most the unspent leases on top. A lease begins with
 * nothing and doubles while it is used up within `idle`; what lies unused that long is given back.
 */
export class Leases {
  readonly #leases = new Map<string, Lease>()
  readonly #limit: Limit
  readonly #options: LeaseOptions
  readonly #giveBack: (key: string, tokens: number) => Promise<unknown>
  #timer: NodeJS.Timeout | undefined

  constructor(
    limit: Limit,
    options: LeaseOptions,
    giveBack: (key: string, tokens: number) => Promise<unknown>,
  ) {
    this.#limit = limit
    this.#options = options
    this.#giveBack = giveBack
  }

  /** Pays from the lease; `undefined` when it does not hold that much. */
  spend(key: string, cost: number): Decision | undefined {
    const lease = this.#leases.get(key)
    if (lease === undefined || lease.asked || lease.tokens < cost) return undefined
    return this.#pay(key, lease, cost)
  }

  /** Stands in line while the store is being asked for this key. Tells whether it is. */
  join(key: string, waiter: Waiter): boolean {
    const lease = this.#leases.get(key)
    if (!lease?.asked) return false
    lease.waiting.push(waiter)
    return true
  }

  /** How many tokens in advance to ask for with the next call. */
  begin(key: string): number {
    let lease = this.#leases.get(key)
    if (lease === undefined) {
      lease = { tokens: 0, size: 0, usedAt: 0, level: 0, asked: false, waiting: [] }
      this.#leases.set(key, lease)
      this.#timer ??= setInterval(this.#sweep, this.#options.idle).unref()
    }
    lease.asked = true
    lease.usedAt = performance.now()
    const size = lease.size
    lease.size = Math.min(this.#options.max, Math.max(1, size * 2))
    return Math.max(0, Math.min(size, this.#options.max - lease.tokens))
  }

  /**
   * The store has answered: serves those in line as far as the lease goes, and sends the others on.
   *
   * @param level the bucket with the cost of the call, or `undefined` when that was not granted
   */
  end(key: string, asked: number, level: number | undefined): void {
    const lease = this.#leases.get(key)
    if (lease === undefined) return
    lease.asked = false
    if (level !== undefined) {
      const extra = leasable(level, this.#limit, asked)
      lease.tokens += extra
      lease.level = level + extra
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
    lease.level = levelAt(lease.level, (now - lease.usedAt) * 1_000, this.#limit)
    lease.usedAt = now
    return admitted(this.#limit, key, cost, Math.max(0, lease.level - lease.tokens), 'lease')
  }

  readonly #sweep = (): void => {
    const now = performance.now()
    for (const [key, { asked, tokens, usedAt }] of this.#leases) {
      if (asked || now - usedAt < this.#options.idle) continue
      this.#leases.delete(key)
      if (tokens > 0) this.#giveBack(key, tokens)
    }
    if (this.#leases.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
