import { Backoff, sleep, TimeoutQueue, type Waiting } from '@spillway/kit'
import { channels } from '../channels.js'
import { StoreUnavailableError } from '../errors.js'
import type { Tier } from '../store.js'
import { type PendingInvalidations, RecoveryQueue } from './recovery-queue.js'

export interface GuardedTierOptions {
  readonly cache: string
  readonly tier: Tier
  /** Milliseconds one operation may take. */
  readonly timeout: number
  /** Operations under way at most. */
  readonly maxPending: number
  readonly maxQueuedInvalidations: number
  /** Tells the store what it missed. Rejects when it cannot. */
  readonly replay: (debt: PendingInvalidations, send: Send) => Promise<void>
  /** Spreads the probes; a number from 0 up to 1. Default: `Math.random`. */
  readonly random?: () => number
}

/** Sends one operation although the tier is not trusted yet. */
export type Send = (operation: (tier: Tier) => Promise<void>) => Promise<void>

/** An operation under way. */
interface Pending extends Waiting {
  readonly expire: () => void
}

/** Milliseconds before a probe. */
const PROBES = { first: 250, max: 1_000 }

/**
 * Resilient client of the second tier: nothing is sent to a tier that is not ready, every operation has a
 * deadline, failures open a breaker, and a probe closes it. Invalidations that did not get through wait in a
 * recovery queue; until it is replayed the tier is not used.
 */
export class GuardedTier {
  readonly tier: Tier
  readonly recovery: RecoveryQueue
  readonly #options: GuardedTierOptions
  readonly #deadlines: TimeoutQueue<Pending>
  readonly #breaker = new Breaker()
  readonly #stop = new AbortController()
  #pending = 0
  #timeouts = 0
  #probing = false
  /** Invalidations on their way to the store; they are owed until it has them all. */
  #replaying = 0
  #opened: Promise<void> | undefined

  constructor(options: GuardedTierOptions) {
    this.#options = options
    this.tier = options.tier
    this.recovery = new RecoveryQueue(options.maxQueuedInvalidations)
    this.#deadlines = new TimeoutQueue(options.timeout, ({ expire }) => expire())
    // A client that is still connecting is given its chance once, within the same time as any operation.
    if (!this.tier.ready) {
      this.#opened = this.#within(
        this.tier.opened(),
        () => new StoreUnavailableError('it did not connect in time'),
      )
        .catch(() => {})
        .finally(() => {
          this.#opened = undefined
        })
    }
  }

  /** Whether the next operation would be sent. Otherwise the caller goes on without the tier. */
  get usable(): boolean {
    return (
      !this.#breaker.open &&
      this.#owed === 0 &&
      this.tier.ready &&
      this.#pending < this.#options.maxPending &&
      !this.#stop.signal.aborted
    )
  }

  /** Set while the first connection is being made. */
  get opening(): Promise<void> | undefined {
    return this.#opened
  }

  get #owed(): number {
    return this.recovery.size + this.#replaying
  }

  stats() {
    return {
      ready: this.tier.ready,
      usable: this.usable,
      breakerOpen: this.#breaker.open,
      pending: this.#pending,
      timeouts: this.#timeouts,
      queuedInvalidations: this.#owed,
    }
  }

  /**
   * Runs one operation of the tier.
   *
   * @throws StoreUnavailableError when it was not sent or took too long; the tier's own error otherwise
   */
  run<T>(operation: (tier: Tier) => Promise<T>): Promise<T> {
    if (!this.usable) {
      if (!this.tier.ready || this.#owed > 0) this.probe()
      return Promise.reject(new StoreUnavailableError(this.#breaker.open ? 'breaker open' : 'not ready'))
    }
    this.#pending++
    return this.#within(start(operation, this.tier), this.#late, this.#ended)
  }

  /** Starts the probes that run until the tier is back, unless they run already. */
  probe(): void {
    if (this.#probing || this.#stop.signal.aborted) return
    this.#probing = true
    void this.#probeLoop()
  }

  close(): void {
    this.#stop.abort()
  }

  /**
   * Settles like the promise, or rejects with `late()` when that takes too long. A late rejection is swallowed.
   *
   * @param ended called just before it settles, in whatever way
   */
  #within<T>(
    promise: Promise<T>,
    late: () => Error,
    ended: (failed: boolean) => void = () => {},
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => {
        if (!this.#deadlines.end(pending)) return
        ended(true)
        reject(error)
      }
      const pending: Pending = {
        next: undefined,
        previous: undefined,
        since: performance.now(),
        expire: () => fail(late()),
      }
      this.#deadlines.add(pending)
      promise.then((value) => {
        if (!this.#deadlines.end(pending)) return
        ended(false)
        resolve(value)
      }, fail)
    })
  }

  readonly #late = () => {
    this.#timeouts++
    return new StoreUnavailableError(`no answer within ${this.#options.timeout} ms`)
  }

  readonly #ended = (failed: boolean) => {
    this.#pending--
    if (!failed) return this.#breaker.succeeded()
    if (this.#breaker.failed(performance.now())) this.#announce(true)
    if (this.#breaker.open) this.probe()
  }

  async #probeLoop(): Promise<void> {
    const signal = this.#stop.signal
    const pauses = new Backoff({ ...PROBES, random: this.#options.random })
    try {
      while (!signal.aborted) {
        await sleep(pauses.fail(), { signal })
        if (await this.#recovered()) return
      }
    } catch {
      // Closed while sleeping.
    } finally {
      this.#probing = false
    }
  }

  /** Half-open: one ping; then what was missed; only then is the tier believed again. */
  async #recovered(): Promise<boolean> {
    if (!this.tier.ready) return false
    const late = () => new StoreUnavailableError('the probe was not answered')
    const send: Send = (operation) => this.#within(operation(this.tier), late)
    try {
      await send((tier) => tier.ping())
      while (this.recovery.size > 0) {
        this.#replaying = this.recovery.size
        const debt = this.recovery.take()
        try {
          await this.#options.replay(debt, send)
        } catch (error) {
          this.recovery.restore(debt)
          throw error
        } finally {
          this.#replaying = 0
        }
      }
    } catch {
      return false
    }
    if (this.#breaker.open) {
      this.#breaker.close()
      this.#announce(false)
    }
    return true
  }

  #announce(open: boolean): void {
    channels.breaker.publish(() => ({ cache: this.#options.cache, open }))
  }
}

/** A store of the user's may throw at once. */
function start<T>(operation: (tier: Tier) => Promise<T>, tier: Tier): Promise<T> {
  try {
    return operation(tier)
  } catch (error) {
    return Promise.reject(error)
  }
}

/** Opens after this many timeouts in a row. */
const IN_A_ROW = 5
/** Or when half of at least this many calls failed within the window. */
const LEAST = 20
const WINDOW = 10_000

/**
 * Decides from outcomes whether a backend is worth asking. A single failure among many keeps it closed; while open,
 * one probe at a time asks again (the half-open state of Nygard's circuit breaker).
 */
class Breaker {
  open = false
  #calls = 0
  #failures = 0
  #inARow = 0
  #since = 0

  succeeded(): void {
    this.#inARow = 0
    this.#calls++
  }

  /** True when this failure opened it. */
  failed(now: number): boolean {
    if (now - this.#since > WINDOW) {
      this.#since = now
      this.#calls = 0
      this.#failures = 0
    }
    this.#calls++
    this.#failures++
    this.#inARow++
    const trips = this.#inARow >= IN_A_ROW || (this.#calls >= LEAST && this.#failures * 2 >= this.#calls)
    if (this.open || !trips) return false
    this.open = true
    return true
  }

  close(): void {
    this.open = false
    this.#calls = 0
    this.#failures = 0
    this.#inARow = 0
  }
}
