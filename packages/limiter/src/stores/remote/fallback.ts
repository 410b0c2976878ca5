import { monotonicClock, workerCount } from '@spillway/kit'
import { admitted, type Decision, Terms, unknown } from '../../bucket/decision.js'
import { type Limit, shareOfLimit } from '../../bucket/limit.js'
import { LimiterCounters } from '../../bucket/limiter-counters.js'
import type { Buckets, FailurePolicy, Remembered } from '../../bucket/store.js'
import { MemoryBuckets } from '../memory/memory-store.js'
import { MemoryTable, sizesOf } from '../memory/memory-table.js'

const MOST_KEYS = 100_000
const RETRY_AFTER = 1_000

/** Decides by the policy for failures while a shared store does not answer. */
export class Fallback {
  readonly policy: FailurePolicy
  readonly #share: number
  readonly #local: Buckets<Decision>
  readonly #tables: readonly MemoryTable[]

  constructor(policy: FailurePolicy, limits: readonly Limit[]) {
    this.policy = policy
    this.#share = typeof policy === 'object' ? policy.local : 1 / workerCount()
    this.#tables = limits.map(() => new MemoryTable(MOST_KEYS))
    const [first, ...others] = limits.map(
      (limit, i) =>
        new MemoryBuckets(
          this.#tables[i]!,
          monotonicClock,
          shareOfLimit(limit, this.#share),
          // The limiter that asks counts these decisions.
          new LimiterCounters(),
          'fallback',
        ),
    )
    this.#local = others.length === 0 ? first! : first!.join(others, new LimiterCounters())
  }

  get remembered(): Remembered {
    return sizesOf(this.#tables)
  }

  take(key: string, cost: number, limits: readonly Limit[]): Decision {
    if (this.policy === 'allow') return admitted(termsOf(limits, cost), key, 0)
    if (this.policy === 'deny') return unknown(termsOf(limits, cost), key, RETRY_AFTER)
    return this.#local.take(key, cost, this.#shared(limits))
  }

  peek(key: string, cost: number, limits: readonly Limit[]): Decision {
    if (this.policy === 'allow') return admitted(termsOf(limits, cost), key, 0)
    if (this.policy === 'deny') return unknown(termsOf(limits, cost), key, RETRY_AFTER)
    return this.#local.peek(key, cost, this.#shared(limits))
  }

  charge(key: string, cost: number, limits: readonly Limit[]): Decision {
    if (this.policy === 'allow' || this.policy === 'deny') return this.peek(key, 0, limits)
    return this.#local.charge(key, cost, this.#shared(limits))
  }

  /** Corrects what this policy itself charged. */
  adjust(decision: Decision, difference: number): Decision {
    if (this.policy === 'allow' || this.policy === 'deny') return decision
    return this.#local.adjust(decision, difference)
  }

  reset(key: string, limits: readonly Limit[]): Decision {
    this.#local.reset(key)
    return this.peek(key, 0, limits)
  }

  #shared(limits: readonly Limit[]): readonly Limit[] {
    return limits.map((limit) => shareOfLimit(limit, this.#share))
  }
}

/** The decision names a limit that can refuse, if there is one. */
function termsOf(limits: readonly Limit[], cost: number): Terms {
  return new Terms(limits.find(({ shadow }) => !shadow) ?? limits[0]!, cost, 'fallback')
}
