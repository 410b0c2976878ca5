import {
  type Closable,
  type CloseOptions,
  channel,
  closeOnce,
  type Duration,
  defineOptions,
  drainWithin,
  duration,
  either,
  having,
  integer,
  number,
  offAbort,
  onAbort,
  optional,
  orFalse,
} from '@spillway/kit'
import { boundedKey } from '../bucket/key.js'
import { ConcurrencyError, LimiterClosedError } from '../errors.js'
import type { AdaptiveLimit } from './adaptive-limit.js'

/** Options of a `ConcurrencyLimiter`. */
export interface ConcurrencyLimiterOptions {
  /** Calls in flight at once, in this process; a number, or an `adaptiveLimit()` that finds it. */
  readonly limit: number | AdaptiveLimit
  /**
   * Calls in flight at once for one key: a number, or a share of `limit` as a fraction below 1, rounded up. `false`: no limit
   * of its own. Default: `false`; for `limitConcurrency`, half.
   */
  readonly perKey?: number | false
  /** Calls that may wait for their turn. Default: 0, refuse at once. */
  readonly queue?: number
  /** How long a call may wait for its turn. Default: `'1s'`. */
  readonly maxWait?: Duration
}

export const CONCURRENCY_DEFAULTS = Object.freeze({ queue: 0, maxWait: 1_000 })

/** The checks of these options; the adapters use them, too. */
export const CONCURRENCY_CHECKS = {
  limit: either(integer({ min: 1 }), having<AdaptiveLimit>('an adaptiveLimit()', 'sample')),
  perKey: optional(orFalse(either(integer({ min: 1 }), number({ min: 0.01, max: 0.99 })))),
  queue: integer({ min: 0 }),
  maxWait: duration({ min: 1 }),
} as const

const resolveOptions = defineOptions(
  'limiter',
  'ConcurrencyLimiter',
  CONCURRENCY_CHECKS,
  CONCURRENCY_DEFAULTS,
)

/** Options of one call. */
export interface AcquireOptions {
  /** The client of the call, for `perKey`. Default: none, so that `perKey` does not apply. */
  readonly key?: string
  /** Leaves the queue, and rejects with `signal.reason`. */
  readonly signal?: AbortSignal
}

/** The right to be in flight, until it is released. */
export interface Permit {
  /**
   * Gives the place back, once; more calls do nothing. `ignored`: the duration says nothing about the service, so an adaptive
   * limit does not learn from it.
   */
  release(outcome?: 'done' | 'ignored'): void
}

/** Figures of a `ConcurrencyLimiter`. */
export interface ConcurrencyStats {
  readonly limit: number
  readonly inFlight: number
  readonly waiting: number
  /** Keys with calls in flight. */
  readonly keys: number
  readonly admitted: number
  readonly refused: number
}

interface Waiter {
  readonly key: string | undefined
  admit(permit: Permit): void
  refuse(reason: unknown): void
}

const refusals = channel<{ reason: 'full' | 'key' | 'late'; inFlight: number; limit: number }>(
  'spillway:limiter:concurrency',
)
const DRAIN = 10_000

/**
 * Bulkhead: limits how many calls are in flight at once, in all and per key, with a short bounded queue. A rate limit guards
 * against too many calls, this one against slow calls.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export class ConcurrencyLimiter implements Closable {
  readonly #options: ReturnType<typeof resolveOptions>
  readonly #byKey = new Map<string, number>()
  readonly #queue = new Set<Waiter>()
  #inFlight = 0
  // Not "admitted": the CJS build's transform takes `this.#name++` for a change of an export of that name.
  #entered = 0
  #refused = 0
  #closed = false
  #drained = () => {}

  constructor(options: ConcurrencyLimiterOptions) {
    this.#options = resolveOptions(options)
  }

  get limit(): number {
    const { limit } = this.#options
    return typeof limit === 'number' ? limit : limit.current
  }

  /** Calls in flight at once for one key; `undefined`: no limit of its own. */
  get perKey(): number | undefined {
    const { perKey } = this.#options
    if (perKey === undefined || perKey === false) return undefined
    return perKey < 1 ? Math.ceil(perKey * this.limit) : perKey
  }

  /** A permit, if there is one now. */
  tryAcquire(key?: string): Permit | undefined {
    const kept = key && boundedKey(key)
    if (this.#closed || this.#queue.size > 0 || !this.#fits(kept)) return undefined
    return this.#admit(kept)
  }

  /**
   * A permit; waits when there is none and the queue has room.
   *
   * @throws ConcurrencyError `ERR_LIMITER_CONCURRENCY` when the queue is full or the wait too long
   * @throws LimiterClosedError `ERR_LIMITER_CLOSED`
   */
  async acquire({ key: given, signal }: AcquireOptions = {}): Promise<Permit> {
    signal?.throwIfAborted()
    const key = given && boundedKey(given)
    if (this.#closed) throw new LimiterClosedError()
    if (this.#fits(key) && !this.#isAheadOf(key)) return this.#admit(key)
    if (this.#queue.size >= this.#options.queue) throw this.#refuse(this.#isFull() ? 'full' : 'key')
    return this.#wait(key, signal)
  }

  /** Runs a task while it holds a permit. */
  async run<T>(task: () => T | Promise<T>, options?: AcquireOptions): Promise<T> {
    const permit = await this.acquire(options)
    try {
      return await task()
    } finally {
      permit.release()
    }
  }

  stats(): ConcurrencyStats {
    return {
      limit: this.limit,
      inFlight: this.#inFlight,
      waiting: this.#queue.size,
      keys: this.#byKey.size,
      admitted: this.#entered,
      refused: this.#refused,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Admits no more calls, rejects waiting ones, and waits for calls in flight, 10 s by default. */
  readonly close: (options?: CloseOptions) => Promise<void> = closeOnce(async (options) => {
    this.#closed = true
    for (const waiter of this.#queue) waiter.refuse(new LimiterClosedError())
    if (this.#inFlight === 0) return
    const drained = new Promise<void>((resolve) => {
      this.#drained = resolve
    })
    await drainWithin(drained, options, DRAIN)
  })

  #isFull(): boolean {
    return this.#inFlight >= this.limit
  }

  #fits(key: string | undefined): boolean {
    if (this.#isFull()) return false
    if (key === undefined) return true
    const { perKey } = this
    return perKey === undefined || (this.#byKey.get(key) ?? 0) < perKey
  }

  /** Whether a waiting call could go first; calls that wait for the limit of another key block no one. */
  #isAheadOf(key: string | undefined): boolean {
    for (const waiter of this.#queue) if (waiter.key === key || this.#fits(waiter.key)) return true
    return false
  }

  #admit(key: string | undefined): Permit {
    this.#entered++
    const inFlight = ++this.#inFlight
    if (key !== undefined) this.#byKey.set(key, (this.#byKey.get(key) ?? 0) + 1)
    const start = performance.now()
    let held = true
    return {
      release: (outcome = 'done') => {
        if (!held) return
        held = false
        const { limit } = this.#options
        if (outcome === 'done' && typeof limit !== 'number') limit.sample(performance.now() - start, inFlight)
        this.#release(key)
      },
    }
  }

  #release(key: string | undefined): void {
    this.#inFlight--
    if (key !== undefined) {
      const left = this.#byKey.get(key)! - 1
      if (left === 0) this.#byKey.delete(key)
      else this.#byKey.set(key, left)
    }
    for (const waiter of this.#queue) {
      if (this.#isFull()) break
      if (this.#fits(waiter.key)) waiter.admit(this.#admit(waiter.key))
    }
    if (this.#inFlight === 0) this.#drained()
  }

  #wait(key: string | undefined, signal: AbortSignal | undefined): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#queue.delete(waiter)
        clearTimeout(timer)
        if (signal !== undefined) offAbort(signal, stop)
      }
      const waiter: Waiter = {
        key,
        admit: (permit) => {
          leave()
          resolve(permit)
        },
        refuse: (reason) => {
          leave()
          reject(reason)
        },
      }
      const stop = () => waiter.refuse(signal?.reason)
      if (signal !== undefined) onAbort(signal, stop)
      const timer = setTimeout(() => waiter.refuse(this.#refuse('late')), this.#options.maxWait)
      this.#queue.add(waiter)
    })
  }

  #refuse(reason: 'full' | 'key' | 'late'): ConcurrencyError {
    this.#refused++
    refusals.publish(() => ({ reason, inFlight: this.#inFlight, limit: this.limit }))
    const text =
      reason === 'key' ? 'Too many calls of this client are in flight' : 'Too many calls are in flight'
    return new ConcurrencyError(text, this.#options.maxWait)
  }
}
