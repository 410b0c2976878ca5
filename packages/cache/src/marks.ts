import { LRUCache } from 'lru-cache'
import type { Visit } from './visit.js'

const MAX_MARKS = 10_000
/** A handler that fails, or a client that reads slowly, is given another chance sooner. Milliseconds. */
const BRIEFLY = 1_000

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

  /**
   * What a client with credentials gets says nothing of what strangers would get: it cannot make them go without the cache.
   *
   * @param brief it may be otherwise the next time
   */
  hitForMiss(visit: Visit, brief: boolean): void {
    const milliseconds = brief ? Math.min(BRIEFLY, this.#milliseconds) : this.#milliseconds
    this.#until.set(name(visit), performance.now() + milliseconds)
  }

  isHitForMiss(visit: Visit): boolean {
    const until = this.#until.get(name(visit))
    return until !== undefined && performance.now() < until
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

function name({ resource, credentials }: Visit): string {
  return `${credentials === 'none' ? '-' : '+'}${resource}`
}
