import { charged, levelAt } from '../../bucket/bucket.js'
import { admitted, combined, type Decision, EXAMPLE, standing, type Terms } from '../../bucket/decision.js'
import type { Limit } from '../../bucket/limit.js'
import type { PendingDecision } from './pending-decision.js'
import { CHARGE, RESET, TAKE } from './protocol.js'

type Asked = Pick<PendingDecision, 'kind' | 'key' | 'cost' | 'limits'>

/**
 * The calls of one question, one after the other, on what a shared store said of the buckets. The store did the same steps
 * on the same doubles, so each call learns how the buckets were when its turn came.
 */
export class DecisionReplay {
  /** As in `decision.ts`: with one of them the compiled code is kept. */
  static readonly kept = new DecisionReplay(
    { kind: TAKE, key: '', cost: 1, limits: [EXAMPLE.limit] },
    [0, 0.5],
    0,
    EXAMPLE,
  )

  /** `used` and `elapsed` of each bucket at the next turn. */
  readonly state: number[]
  readonly #question: Asked
  readonly #usual: Terms

  /** @param usual terms of most calls, to share */
  constructor(question: Asked, answer: readonly number[], at: number, usual: Terms) {
    this.state = answer.slice(at, at + 2 * question.limits.length)
    this.#question = question
    this.#usual = usual
  }

  /** Tokens in use in each bucket. */
  get levels(): number[] {
    return this.#question.limits.map((limit, i) => this.#levelOf(limit, i))
  }

  /** A call that was admitted, and charged wherever there was room. */
  admit(): Decision {
    const { limits } = this.#question
    if (limits.length === 1) return this.#charge(limits[0]!, 0)
    return combined(
      limits.map((limit, i) => (this.#fits(limit, i) ? this.#charge(limit, i) : this.#stand(limit, i))),
    )
  }

  /** A call that was not admitted; it changed nothing, so this holds for all that come after it. */
  deny(): Decision {
    return this.#each((limit, i) => this.#stand(limit, i))
  }

  /** A call that asks for nothing. */
  unasked(): Decision {
    const { kind, key } = this.#question
    return this.#each((limit, i) => {
      if (kind === CHARGE) return this.#charge(limit, i)
      return kind === RESET ? standing(this.#usual.with(limit, 0), key, 0, 0) : this.#stand(limit, i)
    })
  }

  #each(decide: (limit: Limit, i: number) => Decision): Decision {
    const { limits } = this.#question
    return limits.length === 1 ? decide(limits[0]!, 0) : combined(limits.map(decide))
  }

  /** Only a limit in shadow mode may have no room for a call that was admitted. */
  #fits(limit: Limit, i: number): boolean {
    return !limit.shadow || this.#levelOf(limit, i) + this.#question.cost <= limit.capacity
  }

  #charge(limit: Limit, i: number): Decision {
    const { key, cost } = this.#question
    const level = charged(this.#levelOf(limit, i), cost)
    this.state[2 * i] = level
    this.state[2 * i + 1] = 0
    return admitted(this.#usual.with(limit, cost), key, level)
  }

  #stand(limit: Limit, i: number): Decision {
    const { key, cost } = this.#question
    return standing(this.#usual.with(limit, cost), key, this.state[2 * i]!, this.state[2 * i + 1]!)
  }

  #levelOf(limit: Limit, i: number): number {
    return levelAt(this.state[2 * i]!, this.state[2 * i + 1]!, limit)
  }
}
