import type { Caller } from '@spillway/kit'
import type { Decision } from '../../bucket/decision.js'
import { type Limit, sameLimits } from '../../bucket/limit.js'
import { callerOfDecision } from '../../bucket/limiter-counters.js'
import { type Kind, LEASE, MOST_COUNT, TAKE } from './protocol.js'

/** Makes decisions of what a shared store says, or of its silence. */
export interface DecisionOwner {
  /**
   * The store has answered: `admitted` says how often the cost was charged. From `at` on, `state` has two numbers for
   * each limit as its bucket was before: tokens in use, and how many microseconds ago that was noted.
   */
  answered(question: PendingDecision, admitted: number, state: readonly number[], at: number, sent: number): void
  /** How the store names the buckets of these limits. */
  bucketNames(limits: readonly Limit[]): readonly string[]
  /** The store did not answer, or too late. */
  failed(question: PendingDecision): void
}

/**
 * What a shared store is asked about one key, and who waits for the answer: calls that are alike and follow each other
 * within a turn are one question with a count.
 */
export class PendingDecision {
  /** In the order of their calls. */
  readonly waiting: ((decision: Decision) => void)[] = []
  /** The context of each, for those who came while somebody listened to denials. */
  callers: (Caller | undefined)[] | undefined

  constructor(
    readonly asker: DecisionOwner,
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

  /** The executor of a caller's promise. */
  readonly join = (resolve: (decision: Decision) => void): void => {
    const caller = callerOfDecision()
    if (caller !== undefined) {
      this.callers ??= []
      this.callers[this.waiting.length] = caller
    }
    this.waiting.push(resolve)
  }

  /** Whether a call may join. */
  covers(asker: DecisionOwner, kind: Kind, cost: number, limits: readonly Limit[]): boolean {
    return (
      kind === TAKE &&
      this.kind === TAKE &&
      this.asker === asker &&
      this.waiting.length < MOST_COUNT &&
      this.cost === cost &&
      sameLimits(this.limits, limits)
    )
  }
}
