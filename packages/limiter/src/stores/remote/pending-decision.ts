import type { Caller } from '@spillway/kit'
import type { Decision } from '../../bucket/decision.js'
import { type Limit, sameLimits } from '../../bucket/limit.js'
import { callerOfDecision } from '../../bucket/limiter-counters.js'
import { type Kind, LEASE, MOST_COUNT, TAKE } from './protocol.js'

/** The buckets that a call is about: they turn the answer of the store, or its failure, into decisions. */
export interface DecisionOwner {
  /** How the store names the buckets of these limits. */
  bucketNames(limits: readonly Limit[]): readonly string[]
  /**
   * The store has answered.
   *
   * @param admitted how often the cost was charged
   * @param state from `at` on, two numbers for each limit as its bucket was before: tokens in use, and how many
   *   microseconds ago that was noted
   * @param sent when the request left, in milliseconds of `performance.now()`
   */
  answered(
    pending: PendingDecision,
    admitted: number,
    state: readonly number[],
    at: number,
    sent: number,
  ): void
  /** The store did not answer in time, or could not be asked. */
  failed(pending: PendingDecision): void
}

/**
 * A coalesced request: calls about one key that are alike and follow each other within a turn of the event loop are sent as
 * one, with a count.
 */
export class PendingDecision {
  /** Resolves the promise of each call, in the order of the calls. */
  readonly waiting: ((decision: Decision) => void)[] = []
  /** The asynchronous context of each call that came while the channel of denials had a listener. */
  callers: (Caller | undefined)[] | undefined

  constructor(
    readonly owner: DecisionOwner,
    readonly kind: Kind,
    readonly key: string,
    readonly cost: number,
    readonly limits: readonly Limit[],
    /** The bucket of each limit. */
    readonly buckets: readonly string[],
    /** Most tokens in advance, for a lease. */
    readonly advance: number,
  ) {}

  get count(): number {
    return this.kind === LEASE ? this.advance : this.waiting.length
  }

  /** The executor of a call's promise. */
  readonly join = (resolve: (decision: Decision) => void): void => {
    const caller = callerOfDecision()
    if (caller !== undefined) {
      this.callers ??= []
      this.callers[this.waiting.length] = caller
    }
    this.waiting.push(resolve)
  }

  /** Whether a call may join. */
  covers(owner: DecisionOwner, kind: Kind, cost: number, limits: readonly Limit[]): boolean {
    return (
      kind === TAKE &&
      this.kind === TAKE &&
      this.owner === owner &&
      this.waiting.length < MOST_COUNT &&
      this.cost === cost &&
      sameLimits(this.limits, limits)
    )
  }
}
