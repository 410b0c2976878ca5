/**
 * What the second tier must be able to do. `redisStore`, `memcachedStore` and `memoryStore` make one; a cache opens
 * it under its own name. All stores pass one contract suite.
 */
export interface CacheStore {
  /** For statistics and messages: `'redis'`. */
  readonly kind: string
  /** The tier of one namespace. Caches of the same name share entries, epochs and the bus. */
  open(namespace: string): Tier | Shards
}

/** Several servers that fail one by one: each has its own entries, and the epochs which these carry. */
export interface Shards {
  readonly tiers: readonly Tier[]
  /** The index of the tier that has the key; the same on all nodes, whichever servers are there. */
  of(key: string): number
}

export interface Reading {
  /** The bytes of the entry, or `undefined`: a miss. */
  readonly frame: Buffer | undefined
  /** The epoch of each name asked for; `undefined` when it does not exist (never made, or evicted). */
  readonly epochs: readonly (string | undefined)[]
}

export interface ReadingMany {
  readonly frames: readonly (Buffer | undefined)[]
  readonly epochs: readonly (string | undefined)[]
}

export interface Epoch {
  readonly value: string
  /** Milliseconds since it was made, measured by its own server; `Infinity` when this very call has made it. */
  readonly age: number
}

/**
 * The right to write the result of one load. It is a fence, too: any delete or write of the key in between makes
 * `commit` refuse. (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013, section 3.2.1.)
 */
export interface Lease {
  readonly key: string
  readonly token: string
}

/** `busy`: somebody else is loading. `changed`: the entry is not the one that was seen, read again. */
export type Acquired = Lease | 'busy' | 'changed'

export interface BusListener {
  message(text: string): void
  /** Messages may have been lost: what was held since cannot be trusted. */
  gap(): void
  /** Messages arrive again, and every one from now on. */
  healed(): void
}

export interface Tier {
  /** Whether a command would be sent at once. The cache never calls a tier that is not ready. */
  readonly ready: boolean
  /**
   * The time of the server, as far as it is known, in milliseconds since 1970: the times in an entry are by it. Left out
   * where it is the time of this process.
   */
  now?(): number
  /** Resolves when ready for the first time; a cache waits for it within its store timeout. */
  opened(): Promise<void>
  read(key: string, epochs: readonly string[]): Promise<Reading>
  readMany(keys: readonly string[], epochs: readonly string[]): Promise<ReadingMany>
  /** The epochs of these names; missing ones are made, with a value that never was before. */
  epochs(names: readonly string[]): Promise<readonly Epoch[]>
  /** @param seen the id of the entry that is to be replaced, `''` for a miss */
  acquire(key: string, token: string, milliseconds: number, seen: string): Promise<Acquired>
  /** False when the lease is lost. */
  renew(lease: Lease, milliseconds: number): Promise<boolean>
  release(lease: Lease): Promise<void>
  /** Writes under the lease and ends it. False when the lease was lost or voided: nothing is written. */
  commit(lease: Lease, frame: Buffer, milliseconds: number, message: string): Promise<boolean>
  /** Writes, and voids any lease of the key. */
  write(key: string, frame: Buffer, milliseconds: number, message: string): Promise<void>
  /** Deletes, and voids any lease of the keys. */
  remove(keys: readonly string[], message: string): Promise<void>
  /** Gives the name a new epoch: every entry that carries the old one is invalid from now on. */
  bump(name: string, message: string): Promise<void>
  ping(): Promise<void>
  /** Listens to the messages of all nodes, also the own. `undefined`: this store has no bus. */
  readonly listen?: ((listener: BusListener) => void) | undefined
  close(): Promise<void>
}
