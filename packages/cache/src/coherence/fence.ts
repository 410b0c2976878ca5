import { shortName } from '../short-name.js'

/** What was true when a read or a load began. */
export interface Mark {
  readonly generation: number
  readonly clock: number
}

const STRIPES = 16_384
const MAX_TAGS = 10_000

/**
 * The local half of the fence: tells whether something that began earlier may still be kept. Keys share 16,384
 * counters by hash, so it takes no memory per key; two keys on one counter cost a needless miss, never a stale hit.
 */
export class Fence {
  /** Rises with every tag or namespace invalidation and every gap of the bus; an entry stamped with it is valid unseen. */
  clock = 1
  readonly #stripes = new Uint32Array(STRIPES)
  /** The clock at each tag's latest invalidation. */
  readonly #tags = new Map<string, number>()
  /** The clock below which nothing holds. */
  #floor = 0
  /** The clock below which an entry must be compared with the store: invalidations may have been missed. */
  #doubt = 0

  mark(key: string): Mark {
    return { generation: this.#stripes[stripe(key)]!, clock: this.clock }
  }

  /** The key was written or deleted. */
  touch(key: string): void {
    this.#stripes[stripe(key)]! += 1
  }

  touchTag(tag: string): void {
    const name = shortName(tag)
    if (this.#tags.size >= MAX_TAGS && !this.#tags.has(name)) {
      // Forgetting single tags would let old entries pass; forgetting all of them takes all entries along.
      this.touchAll()
    }
    this.#tags.set(name, ++this.clock)
  }

  touchAll(): void {
    this.#floor = ++this.clock
    this.#tags.clear()
  }

  doubtAll(): void {
    this.#doubt = ++this.clock
  }

  doubts(clock: number): boolean {
    return clock < this.#doubt
  }

  /** Something that began at the mark may be kept under this key. */
  holds(key: string, mark: Mark, tags: readonly string[]): boolean {
    return (
      this.#stripes[stripe(key)] === mark.generation &&
      mark.clock >= this.#doubt &&
      this.current(mark.clock, tags)
    )
  }

  /** None of the tags was invalidated since the clock stood there. */
  current(clock: number, tags: readonly string[]): boolean {
    if (clock === this.clock) return true
    if (clock < this.#floor) return false
    for (const tag of tags) if ((this.#tags.get(shortName(tag)) ?? 0) > clock) return false
    return true
  }
}

/** FNV-1a over at most 64 characters from the end, where keys differ. */
function stripe(key: string): number {
  let hash = 0x811c9dc5
  for (let i = Math.max(0, key.length - 64); i < key.length; i++)
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % STRIPES
}
