import { misuse, TimeoutQueue, type Waiting } from '@spillway/kit'
import type { Decision } from '../../bucket/decision.js'
import { wireKey } from '../../bucket/key.js'
import type { Limit } from '../../bucket/limit.js'
import { Batch } from './batch.js'
import type { NodeHealth } from './node-health.js'
import { type DecisionOwner, PendingDecision } from './pending-decision.js'
import type { Kind } from './protocol.js'
import type { Transport } from './transport.js'

/**
 * Buckets in one request; more are split. So no script keeps its server from others for long, and the server works on
 * one request while this process is busy with another.
 */
const MOST_BUCKETS = 128

/** All stores of a process, also those of another copy of this package, may share one channel to their primary. */
const IDS = Symbol.for('spillway.limiter.ids')

function nextId(): number {
  const world = globalThis as { [IDS]?: number }
  world[IDS] = (world[IDS] ?? 0) + 1
  return world[IDS]
}

interface SlotBatch {
  readonly slot: number
  readonly batch: Batch
}

interface InFlightBatch extends Waiting {
  readonly id: number
  readonly batch: Batch
  readonly node: string
}

/**
 * Batches the calls of all limiters on one shared store into requests. An answer after the deadline counts as none, and a
 * node whose breaker is open gets no request.
 *
 * While no request is in flight, calls leave at the end of the current callback and its microtasks, so that a single call
 * does not wait for others; else they are collected until the end of the turn of the event loop.
 */
export class Batcher {
  readonly #transport: Transport
  readonly #health: NodeHealth
  readonly #deadline: number
  readonly #inFlight: TimeoutQueue<InFlightBatch>
  /** The batches that leave next. */
  #collected: SlotBatch[] = []
  /** The open batch of each slot, and the last call of each key, but for the newest: mostly there is only one. */
  #batches = new Map<number, SlotBatch>()
  #pending = new Map<string, PendingDecision>()
  #newest: PendingDecision | undefined
  #closed = false
  #calls = 0
  #failures = 0

  /** @param deadline milliseconds that an answer may take */
  constructor(transport: Transport, health: NodeHealth, deadline: number) {
    this.#transport = transport
    this.#health = health
    this.#deadline = deadline
    this.#inFlight = new TimeoutQueue(deadline, (late) =>
      this.#failed(late, new Error(`No answer from the ${transport.source} store within ${deadline} ms`)),
    )
  }

  get source(): Transport['source'] {
    return this.#transport.source
  }

  /** Requests sent. */
  get calls(): number {
    return this.#calls
  }

  /** Requests that failed or were answered too late. */
  get failures(): number {
    return this.#failures
  }

  /**
   * Sends one call with the others that are collected.
   *
   * @param advance most tokens in advance, for a lease
   */
  ask(
    owner: DecisionOwner,
    kind: Kind,
    key: string,
    cost: number,
    limits: readonly Limit[],
    advance = 0,
  ): Promise<Decision> {
    let pending = this.#newest?.key === key ? this.#newest : this.#pending.get(key)
    if (pending === undefined || !pending.covers(owner, kind, cost, limits)) {
      pending = new PendingDecision(
        owner,
        kind,
        key,
        cost,
        limits,
        this.#bucketsOf(owner, key, limits),
        advance,
      )
      this.#collect(pending)
    }
    const decided = new Promise<Decision>(pending.join)
    if (this.#closed) this.#flush()
    return decided
  }

  /** Sends no more; calls in flight and calls to come are decided by the policy for failures. */
  close(): void {
    this.#flush()
    this.#closed = true
    for (const { batch } of this.#inFlight.drain()) batch.fail()
  }

  #bucketsOf(owner: DecisionOwner, key: string, limits: readonly Limit[]): string[] {
    const kept = wireKey(key)
    const names = owner.bucketNames(limits)
    const buckets: string[] = []
    for (let i = 0; i < names.length; i++) buckets.push(this.#transport.bucketOf(kept, names[i]!))
    return buckets
  }

  #collect(pending: PendingDecision): void {
    this.#batchFor(this.#transport.sharding?.slotOf(pending.buckets[0]!) ?? 0).add(pending)
    if (this.#newest !== undefined) this.#pending.set(this.#newest.key, this.#newest)
    this.#newest = pending
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
    if (this.#inFlight.size === 0) process.nextTick(this.#flush)
    else setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    const collected = this.#collected
    this.#collected = []
    this.#newest = undefined
    // Not cleared: V8 links the table that a Map leaves behind to its next one, so once one of them is old, all that came
    // after it would outlive every collection of young objects.
    if (this.#batches.size > 0) this.#batches = new Map()
    if (this.#pending.size > 0) this.#pending = new Map()
    for (const { slot, batch } of collected) {
      if (this.#closed) batch.fail()
      else this.#transmit(slot, batch)
    }
  }

  #transmit(slot: number, batch: Batch): void {
    const transport = this.#transport
    const node = transport.sharding?.nodeOf(slot) ?? ''
    const sent = performance.now()
    if (!this.#health.admits(node, sent)) {
      batch.fail()
      return
    }
    this.#calls++
    const id = nextId()
    const inFlight: InFlightBatch = { id, batch, node, since: sent, next: undefined, previous: undefined }
    this.#inFlight.add(inFlight)
    const { keys, numbers } = batch.encode()
    const { answerLength } = batch
    transport.send({ id, keys, numbers, answerLength, node, deadline: sent + this.#deadline }).then(
      (answer) => this.#answered(inFlight, answer),
      (reason) => this.#failed(inFlight, reason),
    )
  }

  #answered(inFlight: InFlightBatch, answer: readonly number[]): void {
    const { batch, node, since } = inFlight
    if (!batch.accepts(answer)) {
      this.#failed(
        inFlight,
        misuse(TypeError, 'ERR_LIMITER_REPLY', `The ${this.source} store gave no answer`),
      )
      return
    }
    if (!this.#end(inFlight)) return
    this.#health.succeeded(node, since)
    batch.answer(answer, since)
  }

  #failed(inFlight: InFlightBatch, reason: Error): void {
    if (!this.#end(inFlight)) return
    this.#failures++
    this.#health.failed(inFlight.node, reason)
    inFlight.batch.fail()
  }

  /** Returns false when the request has ended before: an answer after the deadline. */
  #end(inFlight: InFlightBatch): boolean {
    if (!this.#inFlight.end(inFlight)) return false
    this.#transport.forget(inFlight.id)
    return true
  }
}
