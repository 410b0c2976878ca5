import { combined, type Decision, standing, Terms } from '../../bucket/decision.js'
import { type Limit, sameLimits } from '../../bucket/limit.js'
import type { Remembered } from '../../bucket/store.js'

interface Denial {
  readonly cost: number
  readonly limits: readonly Limit[]
  /** Tokens in use, and microseconds since that was noted, of each bucket. */
  readonly state: readonly number[]
  /** When the request was sent: before the store saw it, so that a denial never outlives its cause. */
  readonly since: number
  readonly until: number
}

const MOST_KEYS = 10_000
/** Of one denial with its key, at most, with a few limits. */
const ENTRY_BYTES = 512

/**
 * Cache of denials by a shared store. A denial holds until the bucket has refilled, since other calls can only take more
 * tokens; until then it is repeated without asking the store. A call with a smaller cost or another limit is not answered
 * from here.
 */
export class DenyCache {
  readonly #denials = new Map<string, Denial>()
  readonly #life: number

  /** @param life the longest time a denial is repeated, in milliseconds */
  constructor(life: number) {
    this.#life = life
  }

  get remembered(): Remembered {
    return { keys: this.#denials.size, bytes: ENTRY_BYTES * this.#denials.size }
  }

  find(key: string, cost: number, limits: readonly Limit[]): Decision | undefined {
    const denial = this.#denials.size === 0 ? undefined : this.#denials.get(key)
    if (denial === undefined) return undefined
    const now = performance.now()
    if (now >= denial.until) {
      this.#denials.delete(key)
      return undefined
    }
    if (cost < denial.cost || !sameLimits(limits, denial.limits)) return undefined
    const passed = (now - denial.since) * 1_000
    const parts = limits.map((limit, i) => {
      const [used, elapsed] = [denial.state[2 * i]!, denial.state[2 * i + 1]!]
      return standing(new Terms(limit, cost, 'cache'), key, used, elapsed + passed)
    })
    const decision = parts.length === 1 ? parts[0]! : combined(parts)
    return decision.allowed ? undefined : decision
  }

  note(decision: Decision, limits: readonly Limit[], state: readonly number[], since: number): void {
    const { key, cost, retryAfter } = decision
    this.#denials.delete(key)
    if (this.#denials.size >= MOST_KEYS) this.#denials.delete(this.#denials.keys().next().value!)
    this.#denials.set(key, { cost, limits, state, since, until: since + Math.min(retryAfter, this.#life) })
  }

  forget(key: string): void {
    this.#denials.delete(key)
  }
}
