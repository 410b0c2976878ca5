import { LRUCache } from 'lru-cache'
import { shortName } from '../short-name.js'
import type { HttpLookup } from './http-lookup.js'

const MAX_MARKS = 10_000
/** Bytes, about, of each table whose entries clients can make large. */
const MAX_BYTES = 8_000_000
/** A handler that fails, or a client that reads slowly, is given another chance sooner. Milliseconds. */
const BRIEFLY = 1_000

/**
 * What this process remembers about resources besides their responses: which cannot be stored, so that their requests do
 * not wait for each other ("hit-for-miss" in Varnish), by what they vary, and how many variants each has. The tables are
 * bounded in bytes, whatever clients ask for.
 */
export class HitForMiss {
  readonly #milliseconds: number
  readonly #maxVariants: number
  readonly #until = new LRUCache<string, number>({ max: MAX_MARKS })
  /** Names that a resource was seen to vary by; what one response forgets to say, another has said. */
  readonly #names = new LRUCache<string, readonly string[]>({ max: MAX_MARKS })
  readonly #variants = new LRUCache<string, Set<string>>({
    max: MAX_MARKS,
    maxSize: MAX_BYTES,
    sizeCalculation: bytesOf,
  })

  constructor(milliseconds: number, maxVariants: number) {
    this.#milliseconds = milliseconds
    this.#maxVariants = maxVariants
  }

  /**
   * What a client with credentials gets says nothing of what strangers would get: it cannot make them go without the cache.
   *
   * @param brief it may be otherwise the next time
   */
  hitForMiss(lookup: HttpLookup, brief: boolean): void {
    const milliseconds = brief ? Math.min(BRIEFLY, this.#milliseconds) : this.#milliseconds
    this.#until.set(name(lookup), performance.now() + milliseconds)
  }

  isHitForMiss(lookup: HttpLookup): boolean {
    const until = this.#until.get(name(lookup))
    return until !== undefined && performance.now() < until
  }

  variesBy({ resource }: HttpLookup, names: readonly string[]): void {
    this.#names.set(shortName(resource), names)
  }

  namesOf({ resource }: HttpLookup): readonly string[] {
    return this.#names.get(shortName(resource)) ?? []
  }

  /** False for one variant too many. @param id of the record that leads to the variants: a new one begins anew */
  admitsVariant(id: string, variant: string): boolean {
    const known = this.#variants.get(id) ?? new Set<string>()
    if (known.has(variant)) return true
    if (known.size >= this.#maxVariants) return false
    this.#variants.delete(id)
    this.#variants.set(id, known.add(variant)) // weighed anew
    return true
  }
}

function name({ resource, credentials }: HttpLookup): string {
  return shortName(`${credentials === 'none' ? '-' : '+'}${resource}`)
}

/** What the engine needs for an entry of a set, beside its characters. */
const ENTRY = 50

function bytesOf(variants: ReadonlySet<string>, id: string): number {
  let bytes = id.length + ENTRY
  for (const variant of variants) bytes += variant.length + ENTRY
  return bytes
}
