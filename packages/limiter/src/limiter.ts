import {
  type Closable,
  type CloseOptions,
  closeOnce,
  type Duration,
  durationMs,
  misuse,
  sleep,
} from '@spillway/kit'
import { chargedParts, type Decision } from './bucket/decision.js'
import { keptKey } from './bucket/key.js'
import { type Limit, type LimitOptions, limitFrom, limitOf } from './bucket/limit.js'
import { LimiterCounters } from './bucket/limiter-counters.js'
import type { Answer, Buckets, Remembered, Store, StoreStats } from './bucket/store.js'
import { LimiterClosedError, RateLimitError, refusalOf, refuseCost } from './errors.js'
import { type RateLimiterOptions, resolveRateLimiterOptions } from './options.js'
import { memoryStore } from './stores/memory/memory-store.js'
import { WaitQueues } from './wait-queues.js'

/** Options of one call of `consume`. */
export interface ConsumeOptions {
  /** Tokens to take; finite, not negative; fractions are fine. Default: 1. */
  readonly cost?: number
  /** Another limit for this call, such as the plan of the user; tokens used so far still count. */
  readonly limit?: Limit | LimitOptions
  /** As `limit`, for a limiter made by `limiters.all`: by name, the limits that differ. */
  readonly limits?: Readonly<Record<string, Limit | LimitOptions>>
  /** Aborts the call, which rejects with `signal.reason`; tokens taken for it meanwhile are given back. */
  readonly signal?: AbortSignal
}

/** Options of one call of `wait`. */
export interface WaitOptions extends ConsumeOptions {
  /** Longest wait; a call that would wait longer is rejected. Default: `'30s'`. */
  readonly maxWait?: Duration
  /** Keeps the process alive while waiting. Default: `false`. */
  readonly ref?: boolean
}

/** Figures of a limiter. */
export interface RateLimiterStats {
  readonly limits: readonly Limit[]
  /** Calls of `consume` that were admitted. */
  readonly allowed: number
  /** Calls that were refused, including those that shadow mode admitted. */
  readonly denied: number
  /** Calls let through although a limit in shadow mode said no. */
  readonly shadowed: number
  /** Decisions by the policy for a failed store. */
  readonly fallbacks: number
  /** Calls of `wait` in a queue. */
  readonly waiting: number
  /** Keys that are remembered beside the store: denials, leases, buckets of the policy for failures. */
  readonly remembered: Remembered
  readonly store: StoreStats
}

/** Hints for the names of buckets, from an adapter that makes a limiter. */
export interface NamingHints {
  /** Each call brings its own limit, so the buckets are not named after the numbers of the limiter's own. */
  readonly varies?: boolean
  /** Tells its buckets from those of other unnamed limiters with the same numbers, in all processes alike. */
  readonly scope?: string | undefined
}

const DEFAULT_MAX_WAIT = 30_000
/** Most calls of `wait` in the queues of one limiter. */
const MOST_WAITING = 10_000

/**
 * Rate limiter: a token bucket per key. `consume` returns a decision where the buckets are in memory, and a promise of one
 * where they are shared; the type says which. A denial changes nothing.
 *
 * ```ts
 * const limiter = new RateLimiter({ limit: 100, window: '15m' })
 * const { allowed, retryAfter } = limiter.consume(userId)
 * ```
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export class RateLimiter<R extends Answer = Decision> implements Closable {
  readonly #buckets: Buckets<R>
  readonly #store: Store<R>
  readonly #counters = new LimiterCounters()
  readonly #queues = new WaitQueues()
  readonly #settled = new WeakSet<Decision>()
  /** Rejects waiting calls when the limiter is closed. */
  readonly #closing = new AbortController()
  #closed = false

  /** @param hints for the names of buckets, where an adapter makes the limiter */
  constructor(options: RateLimiterOptions<R>, hints?: NamingHints)
  /** Several limiters decided at once; call `limiters.all` instead. */
  constructor(members: readonly RateLimiter<R>[])
  constructor(given: RateLimiterOptions<R> | readonly RateLimiter<R>[], { varies, scope }: NamingHints = {}) {
    if (isMembers(given)) {
      const [first, ...others] = given
      if (first === undefined) throw misuse(TypeError, 'ERR_LIMITER_JOIN', 'There is no limiter to join')
      this.#store = first.#store
      this.#buckets = first.#buckets.join(
        others.map((member) => member.#buckets),
        this.#counters,
      )
      return
    }
    const { store: _, ...settings } = resolveRateLimiterOptions(given)
    this.#store = given.store ?? (memoryStore() as Store<Answer> as Store<R>)
    const named = settings.name !== undefined
    const limit = limitFrom({ ...settings, varies })
    this.#buckets = this.#store.open(limit, { ...settings, named, scope, counters: this.#counters })
  }

  /** The limits, as resolved; one, unless made by `limiters.all`. */
  get limits(): readonly Limit[] {
    return this.#buckets.limits
  }

  /**
   * Takes tokens if they are there; else changes nothing and tells when they will be.
   *
   * @throws TypeError `ERR_LIMITER_KEY` when the key is not a non-empty string
   * @throws TypeError | RangeError `ERR_LIMITER_COST` when the cost is not a finite number >= 0
   */
  consume(key: string, options?: ConsumeOptions): R {
    if (this.#closed) throw new LimiterClosedError()
    const kept = keptKey(key)
    if (options === undefined) return this.#buckets.take(kept, 1)
    return this.#buckets.take(kept, costOf(options), this.#limitsOf(options), options.signal)
  }

  /** The decision that `consume` would make now, without taking tokens. */
  peek(key: string, options: Omit<ConsumeOptions, 'signal'> = {}): R {
    return this.#buckets.peek(keptKey(key), costOf(options), this.#limitsOf(options))
  }

  /** Gives tokens back, at most up to a full bucket. Returns the state of the bucket afterwards. */
  refund(key: string, tokens = 1): R {
    return this.#buckets.charge(keptKey(key), -checkedCost(tokens))
  }

  /**
   * Corrects the cost of an admitted call, once, when the real cost is known: bytes sent, tokens of a language model, 0 for a
   * request that failed. A higher cost is charged even if the bucket goes into debt. A second call for the same decision,
   * or one for a denial, changes nothing.
   */
  settle(decision: Decision, actualCost: number): R {
    const difference = checkedCost(actualCost) - decision.cost
    if (this.#settled.has(decision) || chargedParts(decision).length === 0) {
      return this.#buckets.peek(decision.key, 0)
    }
    this.#settled.add(decision)
    return this.#buckets.adjust(decision, difference)
  }

  /** Makes the bucket of a key full. */
  reset(key: string): R {
    return this.#buckets.reset(keptKey(key))
  }

  /**
   * Waits in a queue per key, first come, first served, until the cost is admitted.
   *
   * @throws RateLimitError `ERR_LIMITER_LIMITED` when it would take longer than `maxWait`, or for ever, or when 10,000
   *   calls are waiting
   * @throws StoreUnavailableError `ERR_LIMITER_UNAVAILABLE` when the store failed for so long, with policy `deny`
   */
  async wait(key: string, { maxWait, ref = false, ...options }: WaitOptions = {}): Promise<Decision> {
    const patience = maxWait === undefined ? DEFAULT_MAX_WAIT : durationMs(maxWait)
    if (patience === undefined) {
      throw misuse(TypeError, 'ERR_LIMITER_OPTION', 'wait option "maxWait" must be a duration')
    }
    options.signal?.throwIfAborted()
    if (this.#queues.waiting >= MOST_WAITING) throw new RateLimitError(await this.peek(key, options))
    const deadline = performance.now() + patience
    const late = new AbortController()
    const signals = [late.signal, this.#closing.signal]
    const signal = AbortSignal.any(options.signal === undefined ? signals : [options.signal, ...signals])
    const timer = setTimeout(() => late.abort(), Math.min(patience, 2_147_483_647))
    if (!ref) timer.unref()
    try {
      return await this.#queues.queue(keptKey(key), signal, async () => {
        for (;;) {
          const decision = await this.consume(key, options)
          if (decision.allowed) return decision
          if (performance.now() + decision.retryAfter > deadline) throw refusalOf(decision)
          await sleep(Math.ceil(decision.retryAfter), { signal, ref })
        }
      })
    } catch (error) {
      if (late.signal.aborted && error === late.signal.reason)
        throw new RateLimitError(await this.peek(key, options))
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  stats(): RateLimiterStats {
    return {
      limits: this.limits,
      allowed: this.#counters.allowed,
      denied: this.#counters.denied,
      shadowed: this.#counters.shadowed,
      fallbacks: this.#counters.fallbacks,
      waiting: this.#queues.waiting,
      remembered: this.#buckets.remembered(),
      store: this.#store.stats(),
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Stops deciding, rejects waiting calls and gives leases back. The store and its client stay open: others may use them. */
  readonly close = closeOnce(async (options: CloseOptions) => {
    this.#closed = true
    this.#closing.abort(new LimiterClosedError())
    await this.#buckets.close(options)
  })

  /** The limits for one call, where it brings its own. */
  #limitsOf({ limit, limits }: ConsumeOptions): readonly Limit[] | undefined {
    const own = this.#buckets.limits
    if (limits !== undefined) {
      return own.map((known) => {
        const given = limits[known.name]
        return given === undefined ? known : limitOf(given, known)
      })
    }
    if (limit === undefined) return undefined
    if (own.length > 1) {
      throw misuse(
        TypeError,
        'ERR_LIMITER_OPTION',
        'With several limits, say which: limits: { [name]: limit }',
      )
    }
    return [limitOf(limit, own[0]!)]
  }
}

function isMembers<R extends Answer>(
  given: RateLimiterOptions<R> | readonly RateLimiter<R>[],
): given is readonly RateLimiter<R>[] {
  return Array.isArray(given)
}

function costOf({ cost }: ConsumeOptions): number {
  return cost === undefined ? 1 : checkedCost(cost)
}

function checkedCost(cost: number): number {
  if (typeof cost !== 'number' || !(cost >= 0) || cost === Number.POSITIVE_INFINITY) refuseCost(cost)
  return cost
}
