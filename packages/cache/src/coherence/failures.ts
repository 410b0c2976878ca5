import { Backoff } from '@spillway/kit'
import { LRUCache } from 'lru-cache'
import { shortName } from '../short-name.js'
import type { Fence, Mark } from './fence.js'

interface Failure {
  readonly error: unknown
  readonly pauses: Backoff
  /** The error itself answers until then. */
  readonly until: number
  /** Where a stale value is there, no new attempt before then. */
  readonly retryAt: number
  readonly mark: Mark
  readonly tags: readonly string[]
}

/** Milliseconds. The same for every node and key: the failures of one key have nothing to be spread over. */
const PAUSES = { first: 1_000, max: 30_000, jitter: 0 }
const MAX_FAILURES = 10_000

/** Keys whose last load failed: when to try again, and (with `errorTtl`) what to answer meanwhile. */
export class Failures {
  readonly #fence: Fence
  readonly #known = new LRUCache<string, Failure>({ max: MAX_FAILURES })

  constructor(fence: Fence) {
    this.#fence = fence
  }

  record(
    key: string,
    error: unknown,
    now: number,
    errorTtl: number | false,
    mark: Mark,
    tags: readonly string[],
  ): void {
    const name = shortName(key)
    const pauses = this.#known.get(name)?.pauses ?? new Backoff(PAUSES)
    this.#known.set(name, {
      error,
      pauses,
      until: errorTtl === false ? 0 : now + errorTtl,
      retryAt: now + pauses.fail(),
      mark,
      tags,
    })
  }

  forget(key: string): void {
    if (this.#known.size > 0) this.#known.delete(shortName(key))
  }

  /** The failure that still stands. An invalidation ends it: the next load may succeed. */
  of(key: string): Failure | undefined {
    if (this.#known.size === 0) return undefined
    const name = shortName(key)
    const failure = this.#known.get(name)
    if (failure === undefined) return undefined
    if (this.#fence.holds(key, failure.mark, failure.tags)) return failure
    this.#known.delete(name)
    return undefined
  }

  get size(): number {
    return this.#known.size
  }

  clear(): void {
    this.#known.clear()
  }
}
