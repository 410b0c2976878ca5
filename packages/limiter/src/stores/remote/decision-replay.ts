import { charged, levelAt } from '../../bucket/bucket.js'
import { admitted, combined, type Decision, EXAMPLE, standing, type Terms } from '../../bucket/decision.js'
import { keepShape } from '../../bucket/keep-shape.js'
import type { Limit } from '../../bucket/limit.js'
import type { PendingDecision } from './pending-decision.js'
import { CHARGE, RESET, TAKE } from './protocol.js'

type Replayed = Pick<PendingDecision, 'kind' | 'key' | 'cost' | 'limits'>

/**
 * Replays coalesced calls, one after the other, on the bucket state that the store returned: each call gets its own
 * `remaining`. The store did the same steps on the same doubles.
 */
export class DecisionReplay {
  /** `used` and `elapsed` of each bucket before the next call. */
  readonly state: number[]
  readonly #pending: Replayed
  readonly #usual: Terms

  /** @param usual terms of most calls, to share */
  constructor(pending: Replayed, answer: readonly number[], at: number, usual: Terms) {
    this.state = answer.slice(at, at + 2 * pending.limits.length)
    this.#pending = pending
    this.#usual = usual
  }

  /** Tokens in use in each bucket. */
  get levels(): number[] {
    return this.#pending.limits.map((limit, i) => this.#levelOf(limit, i))
  }

  /** The next call was admitted, and charged in each bucket with room for it. */
  admit(): Decision {
    const { limits } = this.#pending
    if (limits.length === 1) return this.#charge(limits[0]!, 0)
    return combined(
      limits.map((limit, i) => (this.#fits(limit, i) ? this.#charge(limit, i) : this.#stand(limit, i))),
    )
  }

  /** The next call was denied. It changed nothing, so all calls after it get the same decision. */
  deny(): Decision {
    return this.#each((limit, i) => this.#stand(limit, i))
  }

  /** The call was `peek`, `charge` or `reset`: no question of admission. */
  unasked(): Decision {
    const { kind, key } = this.#pending
    return this.#each((limit, i) => {
      if (kind === CHARGE) return this.#charge(limit, i)
      return kind === RESET ? standing(this.#usual.with(limit, 0), key, 0, 0) : this.#stand(limit, i)
    })
  }

  #each(decide: (limit: Limit, i: number) => Decision): Decision {
    const { limits } = this.#pending
    return limits.length === 1 ? decide(limits[0]!, 0) : combined(limits.map(decide))
  }

  /** Only a limit in shadow mode may have no room for a call that was admitted. */
  #fits(limit: Limit, i: number): boolean {
    return !limit.shadow || this.#levelOf(limit, i) + this.#pending.cost <= limit.capacity
  }

  #charge(limit: Limit, i: number): Decision {
    const { key, cost } = this.#pending
    const level = charged(this.#levelOf(limit, i), cost)
    this.state[2 * i] = level
    this.state[2 * i + 1] = 0
    return admitted(this.#usual.with(limit, cost), key, level)
  }

  #stand(limit: Limit, i: number): Decision {
    const { key, cost } = this.#pending
    return standing(this.#usual.with(limit, cost), key, this.state[2 * i]!, this.state[2 * i + 1]!)
  }

  #levelOf(limit: Limit, i: number): number {
    return levelAt(this.state[2 * i]!, this.state[2 * i + 1]!, limit)
  }
}

keepShape(new DecisionReplay({ kind: TAKE, key: '', cost: 1, limits: [EXAMPLE.limit] }, [0, 0.5], 0, EXAMPLE))
