import { LRUCache } from 'lru-cache'
import type { Refusal } from './http-policy.js'
import type { Visit } from './visit.js'

const MAX_MARKS = 10_000
/** A failing handler is given another chance to be shared sooner. Milliseconds. */
const AFTER_ERROR = 1_000

/**
 * What this process remembers about resources besides their responses: which cannot be stored, so that their requests do
 * not wait for each other ("hit-for-miss" in Varnish), and how many variants each has.
 */
export class Marks {
  readonly #milliseconds: number
  readonly #maxVariants: number
  readonly #until = new LRUCache<string, number>({ max: MAX_MARKS })
  readonly #variants = new LRUCache<string, Set<string>>({ max: MAX_MARKS })

  constructor(milliseconds: number, maxVariants: number) {
    this.#milliseconds = milliseconds
    this.#maxVariants = maxVariants
  }

  hitForMiss(visit: Visit, reason: Refusal, status: number): void {
    const until =
      Date.now() + (status >= 500 ? Math.min(AFTER_ERROR, this.#milliseconds) : this.#milliseconds)
    this.#until.set(name(visit, true), until)
    // What is refused for its credentials only may well be stored for those who have none.
    if (reason !== 'credentials') this.#until.set(name(visit, false), until)
  }

  isHitForMiss(visit: Visit): boolean {
    const until = this.#until.get(name(visit, visit.credentials))
    return until !== undefined && Date.now() < until
  }

  /** False for one variant too many. @param id of the record that leads to the variants: a new one begins anew */
  admitsVariant(id: string, variant: string): boolean {
    let known = this.#variants.get(id)
    if (known === undefined) this.#variants.set(id, (known = new Set()))
    if (known.has(variant)) return true
    if (known.size >= this.#maxVariants) return false
    known.add(variant)
    return true
  }
}

function name({ key }: Visit, credentials: boolean): string {
  return `${credentials ? '+' : '-'}${key}`
}
