import type { Limit } from './limit.js'

/** The right to a bucket name. Kept by the buckets: a claim that is garbage-collected is released, too. */
export interface Claim {
  readonly name: string
  /** How many unnamed limits alike were there before, this one included; 1 for a limit with a name of its own. */
  readonly ordinal: number
  release(): void
}

/** The ordinals in use of unnamed limits that are alike. */
class Ordinals {
  readonly #used = new Set<number>()
  /** All smaller ones are in use. */
  #first = 1

  get isEmpty(): boolean {
    return this.#used.size === 0
  }

  take(): number {
    while (this.#used.has(this.#first)) this.#first++
    this.#used.add(this.#first)
    return this.#first
  }

  free(ordinal: number): void {
    if (this.#used.delete(ordinal)) this.#first = Math.min(this.#first, ordinal)
  }
}

/** Ordinals by the stem of the name: what the limits have in common. */
type Taken = Map<string, Ordinals>

/** One table per process, also over copies of this package: space -> what is taken in it. */
const SPACES = Symbol.for('spillway.limiter.names')

/** Limiters are made without being closed, in the handler of a route at worst: their names must not pile up. */
const abandoned = new FinalizationRegistry<() => void>((release) => release())

/**
 * Allocates the names of buckets in one space: a memory store, the primary of a cluster, a prefix in Redis. A name that
 * the user gave is taken as it is, and limiters of the same name share their buckets. Limiters without a name never share:
 * their buckets are named after the numbers of the limit, the second one of the same numbers with an ordinal. The `~` in
 * such a name cannot stand in a given one. Nothing in it is random, so processes that make the same limiters in the same
 * order agree.
 */
export class BucketNames {
  readonly #taken: () => Taken
  /** Whether other processes have a say in these names. */
  readonly isShared: boolean

  /** @param space names of one space are unique in this process; without it, in this object */
  constructor(space?: string) {
    const own: Taken = new Map()
    this.isShared = space !== undefined
    this.#taken = space === undefined ? () => own : () => takenIn(space)
  }

  /**
   * @param named whether the user gave the limit its name
   * @param scope tells unnamed limits of the same numbers apart, in any order in which they are made
   */
  claim({ name }: Limit, named: boolean, scope?: string): Claim {
    if (named) return { name, ordinal: 1, release() {} }
    const stem = scope === undefined ? `~${name}` : `~${name}~${scope}`
    const taken = this.#taken()
    const ordinals = taken.get(stem) ?? new Ordinals()
    taken.set(stem, ordinals)
    const ordinal = ordinals.take()
    const free = freeing(taken, stem, ordinals, ordinal)
    const claim: Claim = {
      name: ordinal === 1 ? stem : `${stem}~${ordinal}`,
      ordinal,
      release() {
        abandoned.unregister(claim)
        free()
      },
    }
    abandoned.register(claim, free, claim)
    return claim
  }
}

/** A function that frees an ordinal, once. It must not refer to the claim, which would never be collected then. */
function freeing(taken: Taken, stem: string, ordinals: Ordinals, ordinal: number): () => void {
  let isFree = false
  return () => {
    if (isFree) return
    isFree = true
    ordinals.free(ordinal)
    if (ordinals.isEmpty && taken.get(stem) === ordinals) taken.delete(stem)
  }
}

function takenIn(space: string): Taken {
  const world = globalThis as { [SPACES]?: Map<string, Taken> }
  world[SPACES] ??= new Map()
  const spaces = world[SPACES]
  const taken = spaces.get(space) ?? new Map()
  spaces.set(space, taken)
  return taken
}
