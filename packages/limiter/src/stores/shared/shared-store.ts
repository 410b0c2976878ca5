import { EventEmitter } from 'node:events'
import {
  type CloseOptions,
  channel,
  closeOnce,
  misuse,
  notify,
  TimeoutQueue,
  type Waiting,
} from '@spillway/kit'
import type { Decision } from '../../bucket/decision.js'
import { wireKey } from '../../bucket/key.js'
import type { Limit } from '../../bucket/limit.js'
import type { BucketNames } from '../../bucket/bucket-names.js'
import type { BucketSettings, Store, StoreStats } from '../../bucket/store.js'
import { Batch } from './batch.js'
import { Breaker } from './breaker.js'
import { type DecisionOwner, PendingDecision } from './pending-decision.js'
import { SharedBuckets } from './shared-buckets.js'
import type { Kind } from './protocol.js'

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
  /** How many numbers an answer has. */
  readonly answerLength: number
  readonly node: string
  /** Milliseconds of `performance.now()` after which nobody waits any more. */
  readonly deadline: number
}

/**
 * Buckets in one message; more are split. So no script keeps its server from others for long, and the server works on
 * one while this process is busy with another.
 */
const MOST_BUCKETS = 128
/** How often to look whether nodes that are down are still part of the cluster, in milliseconds. */
const LOOK_AGAIN = 500

interface SlotBatch {
  readonly slot: number
  readonly batch: Batch
}

/** A batch under way. */
interface InFlightBatch extends Waiting {
  readonly id: number
  readonly batch: Batch
  readonly node: string
}

const changes = channel<{ store: string; node: string; up: boolean; reason: string | undefined }>(
  'spillway:limiter:store',
)

/**
 * What the stores over a wire have in common: calls travel together, an answer that is late counts as none, and a node
 * that keeps failing is left alone for a while.
 *
 * While nothing is under way, calls leave at the end of the current callback and its microtasks, so that a lone caller
 * waits for nobody; while something is, they are collected until the end of the turn of the event loop.
 */
export abstract class SharedStore extends EventEmitter<StoreEvents> implements Store<Promise<Decision>> {
  abstract readonly source: 'cluster' | 'redis'
  readonly #deadline: number
  readonly #breakers = new Map<string, Breaker>()
  /** Nodes that are left alone at present. */
  readonly #down = new Set<string>()
  #lookAgainAt = 0
  /** What is under way, and how it ends when it is late. */
  readonly #open: TimeoutQueue<InFlightBatch>
  /** What will be sent next. */
  #collected: SlotBatch[] = []
  /** The open batch of each slot, and the last question for each key, but for the newest: mostly there is only one. */
  #batches = new Map<number, SlotBatch>()
  #questions = new Map<string, PendingDecision>()
  #newest: PendingDecision | undefined
  #closed = false
  #calls = 0
  #lastId = 0
  #failures = 0

  constructor(deadline: number) {
    super()
    this.#deadline = deadline
    this.#open = new TimeoutQueue(deadline, (journey) =>
      this.#failed(journey, new Error(`No answer from the ${this.source} store within ${deadline} ms`)),
    )
  }

  /** Names of buckets, unique among the limiters that could meet in this store. */
  protected abstract readonly names: BucketNames
  /** The bucket that a limit has for a key. */
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
    const claim = this.names.claim(limit, settings.named, settings.scope)
    if (claim.ordinal > 1 && this.names.isShared) warnOfOrder(limit)
    return new SharedBuckets(this, [limit], [claim.name], settings, claim.release)
  }

  /**
   * Asks together with the other calls that are collected.
   *
   * @param advance most tokens in advance, for a lease
   */
  ask(asker: DecisionOwner, kind: Kind, key: string, cost: number, limits: readonly Limit[], advance = 0) {
    let question = this.#newest?.key === key ? this.#newest : this.#questions.get(key)
    if (question === undefined || !question.covers(asker, kind, cost, limits)) {
      const kept = wireKey(key)
      const buckets = asker.bucketNames(limits).map((name) => this.bucketOf(kept, name))
      question = new PendingDecision(asker, kind, key, cost, limits, buckets, advance)
      this.#collect(question)
    }
    const decided = new Promise<Decision>(question.join)
    if (this.#closed) this.#flush()
    return decided
  }

  stats(): StoreStats {
    return {
      store: this.source,
      keys: 0,
      bytes: 0,
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
    for (const { batch } of this.#open.drain()) batch.fail()
    this.release()
  })

  /** The number of the next request. */
  protected nextId(): number {
    return ++this.#lastId
  }

  /** There is a sign of life from a node. */
  protected retryNow(node: string): void {
    this.#breakers.get(node)?.retryNow()
  }

  #collect(question: PendingDecision): void {
    this.#batchFor(this.slotOf(question.buckets[0]!)).add(question)
    if (this.#newest !== undefined) this.#questions.set(this.#newest.key, this.#newest)
    this.#newest = question
  }

  #batchFor(slot: number): Batch {
    const newest = this.#collected.at(-1)
    const open = newest?.slot === slot ? newest : this.#batches.get(slot)
    if (open !== undefined && open.batch.size < MOST_BUCKETS) return open.batch
    if (newest === undefined) this.#flushSoon()
    else this.#batches.set(newest.slot, newest)
    const batch = new Batch()
    this.#collected.push({ slot, batch })
    return batch
  }

  #flushSoon(): void {
    if (this.#open.size === 0) process.nextTick(this.#flush)
    else setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    const collected = this.#collected
    this.#collected = []
    this.#newest = undefined
    // Not cleared: V8 links the table that a Map leaves behind to its next one, so once one of them is old, all that came
    // after it would outlive every collection of young objects.
    if (this.#batches.size > 0) this.#batches = new Map()
    if (this.#questions.size > 0) this.#questions = new Map()
    for (const { slot, batch } of collected) {
      if (this.#closed) batch.fail()
      else this.#transmit(slot, batch)
    }
  }

  #transmit(slot: number, batch: Batch): void {
    const node = this.nodeOf(slot)
    const sent = performance.now()
    if (!this.#breakerOf(node).admits(sent)) {
      batch.fail()
      return
    }
    this.#calls++
    const id = this.nextId()
    const journey: InFlightBatch = {
      id,
      batch,
      node,
      since: sent,
      next: undefined,
      previous: undefined,
    }
    this.#open.add(journey)
    const { keys, numbers } = batch.encode()
    const { answerLength } = batch
    this.send({ id, keys, numbers, answerLength, node, deadline: sent + this.#deadline }).then(
      (numbers) => this.#answered(journey, numbers),
      (reason) => this.#failed(journey, reason),
    )
  }

  /** Once for each; an answer after the deadline finds it gone. */
  #answered(journey: InFlightBatch, numbers: readonly number[]): void {
    if (!journey.batch.accepts(numbers)) {
      this.#failed(journey, misuse(TypeError, 'ERR_LIMITER_REPLY', `The ${this.source} store gave no answer`))
      return
    }
    if (!this.#open.end(journey)) return
    const { id, batch, node, since } = journey
    this.forget(id)
    if (this.#breakerOf(node).succeeded()) this.#changed(node, undefined)
    if (this.#down.size > 0) this.#forgetStrangers(since)
    batch.answer(numbers, since)
  }

  #failed(journey: InFlightBatch, reason: Error): void {
    if (!this.#open.end(journey)) return
    const { id, batch, node } = journey
    this.forget(id)
    this.#failures++
    if (this.#breakerOf(node).failed(performance.now())) this.#changed(node, reason)
    batch.fail()
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

let hasWarnedOfOrder = false

/** Once: with names, nothing depends on the order. */
function warnOfOrder({ name }: Limit): void {
  if (hasWarnedOfOrder) return
  hasWarnedOfOrder = true
  process.emitWarning(
    `Several limiters without a name have the limit "${name}" in one shared store. Each has buckets of its own, told apart by the order in which this process made them; give each a "name", so that all processes agree in any order.`,
    { code: 'SPILLWAY_LIMIT_UNNAMED' },
  )
}
