import { EventEmitter } from 'node:events'
import { type CloseOptions, channel, closeOnce, notify } from '@spillway/kit'
import { Batch, type Call } from './batch.js'
import { Breaker } from './breaker.js'
import type { Decision } from './decision.js'
import type { Limit } from './limit.js'
import { SharedBuckets } from './shared-buckets.js'
import type { BucketSettings, Store, StoreStats } from './store.js'

/** A shared store, or a node of it, stopped answering or answers again. */
export interface StoreChange {
  readonly store: 'cluster' | 'redis'
  /** The node of a Redis Cluster; `''` where there is only one. */
  readonly node: string
  /** What went wrong; `undefined` when it is back. */
  readonly reason: Error | undefined
}

export interface StoreEvents {
  down: [change: StoreChange]
  up: [change: StoreChange]
}

/** Calls that travel together. */
export interface Request {
  readonly id: number
  readonly keys: readonly string[]
  readonly numbers: readonly number[]
  readonly node: string
  /** Milliseconds of `performance.now()` after which nobody waits any more. */
  readonly deadline: number
}

/** Groups in one message; more are split, so that no script keeps its server from others for long. */
const MOST_GROUPS = 500
/** How often to look whether nodes that are down are still part of the cluster, in milliseconds. */
const LOOK_AGAIN = 500

const changes = channel<{ store: string; node: string; up: boolean; reason: string | undefined }>(
  'spillway:limiter:store',
)

/**
 * What the stores over a wire have in common: the calls of one turn of the event loop travel together, an answer that
 * is late counts as none, and a node that keeps failing is left alone for a while.
 */
export abstract class SharedStore extends EventEmitter<StoreEvents> implements Store<Promise<Decision>> {
  abstract readonly source: 'cluster' | 'redis'
  readonly #deadline: number
  readonly #breakers = new Map<string, Breaker>()
  /** Nodes that are left alone at present. */
  readonly #down = new Set<string>()
  #lookAgainAt = 0
  readonly #open = new Set<Batch>()
  #batches = new Map<number, Batch>()
  #closed = false
  #calls = 0
  #failures = 0

  constructor(deadline: number) {
    super()
    this.#deadline = deadline
  }

  /** Names the bucket that a limit has for a key. */
  abstract bucketOf(key: string, limit: string): string
  /** Buckets may travel together when their slot is the same. */
  protected abstract slotOf(bucket: string): number
  /** Who answers for a slot; failures are counted per node. */
  protected abstract nodeOf(slot: number): string
  /** Whether the node still has anything to answer for; a failover takes that from it. */
  protected knows(_node: string): boolean {
    return true
  }
  /** Sends once; rejects when there will be no answer. */
  protected abstract send(request: Request): Promise<readonly number[]>
  /** Nobody waits for the answer any more; it has come, or never will. */
  protected forget(_id: number): void {}
  protected abstract release(): void

  open(limit: Limit, settings: BucketSettings): SharedBuckets {
    return new SharedBuckets(this, [limit], settings)
  }

  /** Sends a call with the others of this turn. */
  dispatch(call: Call): void {
    if (this.#closed) {
      call.failed()
      return
    }
    const slot = this.slotOf(call.buckets[0]!)
    let batch = this.#batches.get(slot)
    if (batch === undefined || batch.size >= MOST_GROUPS) {
      if (this.#batches.size === 0) setImmediate(this.#flush)
      if (batch !== undefined) this.#transmit(slot, batch)
      batch = new Batch()
      this.#batches.set(slot, batch)
    }
    batch.add(call)
  }

  stats(): StoreStats {
    return {
      store: this.source,
      keys: 0,
      evictions: 0,
      forgivenTokens: 0,
      calls: this.#calls,
      failures: this.#failures,
      up: ![...this.#down].some((node) => this.knows(node)),
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Stops asking; what is under way is decided by the policy for failures. The client stays open. */
  readonly close: (options?: CloseOptions) => Promise<void> = closeOnce(() => {
    this.#flush()
    this.#closed = true
    for (const batch of this.#open) this.#settle(batch, () => batch.fail())
    this.release()
  })

  /** There is a sign of life from a node. */
  protected retryNow(node: string): void {
    this.#breakers.get(node)?.retryNow()
  }

  readonly #flush = (): void => {
    const batches = this.#batches
    this.#batches = new Map()
    for (const [slot, batch] of batches) this.#transmit(slot, batch)
  }

  #transmit(slot: number, batch: Batch): void {
    const node = this.nodeOf(slot)
    const breaker = this.#breakerOf(node)
    const sent = performance.now()
    if (!breaker.admits(sent)) {
      batch.fail()
      return
    }
    const id = ++this.#calls
    this.#open.add(batch)
    // After a pause of this process its timers fire before it reads what came meanwhile: read once more, then judge.
    const timer = setTimeout(() => setImmediate(late), this.#deadline)
    const late = () => fail(new Error(`No answer from the ${this.source} store within ${this.#deadline} ms`))
    const fail = (reason: Error) =>
      this.#settle(batch, () => {
        clearTimeout(timer)
        this.forget(id)
        this.#failures++
        if (breaker.failed(performance.now())) this.#changed(node, reason)
        batch.fail()
      })
    const answer = (numbers: readonly number[]) =>
      this.#settle(batch, () => {
        clearTimeout(timer)
        this.forget(id)
        if (breaker.succeeded()) this.#changed(node, undefined)
        if (this.#down.size > 0) this.#forgetStrangers(sent)
        batch.answer(numbers, sent)
      })
    this.send({ id, ...batch.encode(), node, deadline: sent + this.#deadline }).then(answer, fail)
  }

  /** Once for each batch; an answer after the deadline finds it gone. */
  #settle(batch: Batch, settle: () => void): void {
    if (this.#open.delete(batch)) settle()
  }

  #breakerOf(node: string): Breaker {
    let breaker = this.#breakers.get(node)
    if (breaker === undefined) this.#breakers.set(node, (breaker = new Breaker()))
    return breaker
  }

  /** A node that lost its slots will not be asked again, so nothing else would end its outage. */
  #forgetStrangers(now: number): void {
    if (now < this.#lookAgainAt) return
    this.#lookAgainAt = now + LOOK_AGAIN
    for (const node of this.#down) {
      if (this.knows(node)) continue
      this.#breakers.delete(node)
      this.#changed(node, undefined)
    }
  }

  #changed(node: string, reason: Error | undefined): void {
    const up = reason === undefined
    if (up) this.#down.delete(node)
    else this.#down.add(node)
    changes.publish(() => ({ store: this.source, node, up, reason: reason?.message }))
    if (!up && this.listenerCount('down') === 0) this.#warn(reason)
    notify(this, up ? 'up' : 'down', { store: this.source, node, reason })
  }

  /** An app that does not listen should not learn of it from its users. */
  #warn(reason: Error): void {
    process.emitWarning(
      `The rate limiter's ${this.source} store is down (${reason.message}); each limiter decides by its "onStoreFailure". Listen to "down" and "up" of the store to handle this.`,
      { code: 'SPILLWAY_STORE_DOWN' },
    )
  }
}
