import { channel } from '@spillway/kit'
import { type Decision, shadowed } from './decision.js'

/** A denial, without its key. */
const denials = channel<{
  limit: string
  retryAfter: number
  impossible: boolean
  shadowed: boolean
  source: string
}>('spillway:limiter:denied')

/**
 * What a limiter has decided so far. Stores tell it of every decision and hand on what it returns; for a plain admission
 * they may count `allowed` themselves.
 */
export class Tally {
  readonly #shadow: boolean
  allowed = 0
  denied = 0
  shadowed = 0
  fallbacks = 0

  /** @param shadow lets everything through */
  constructor(shadow: boolean) {
    this.#shadow = shadow
  }

  note(decision: Decision): Decision {
    if (decision.source === 'fallback') this.fallbacks++
    if (decision.allowed) {
      this.allowed++
      return decision
    }
    this.denied++
    if (this.#shadow) this.shadowed++
    denials.publish(() => ({
      limit: decision.limit.name,
      retryAfter: decision.retryAfter,
      impossible: decision.impossible,
      shadowed: this.#shadow,
      source: decision.source,
    }))
    return this.#shadow ? shadowed(decision) : decision
  }
}
