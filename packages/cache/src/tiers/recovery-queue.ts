/** Invalidations that the store must still be told. */
export interface PendingInvalidations {
  readonly keys: readonly string[]
  readonly tags: readonly string[]
  readonly all: boolean
}

/** Characters of all names together. */
const MAX_CHARACTERS = 8_000_000

/**
 * Recovery queue: the invalidations that did not reach the store. While there are any, the store is not believed. Bounded in
 * number and in characters: past a limit everything becomes one invalidation of the whole namespace.
 */
export class RecoveryQueue {
  readonly #limit: number
  #keys = new Set<string>()
  #tags = new Set<string>()
  #all = false
  #characters = 0
  /** Invalidations in the queue. A field, since every operation of the store looks at it. */
  size = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  key(key: string): void {
    if (!this.#all) this.#add(this.#keys, key)
  }

  tag(tag: string): void {
    if (!this.#all) this.#add(this.#tags, tag)
  }

  all(): void {
    this.#clear()
    this.#all = true
    this.size = 1
  }

  /** Takes everything out. Give it back with {@link restore} when the store could not be told. */
  take(): PendingInvalidations {
    const debt = { keys: [...this.#keys], tags: [...this.#tags], all: this.#all }
    this.#clear()
    return debt
  }

  restore({ keys, tags, all }: PendingInvalidations): void {
    if (all) this.all()
    for (const key of keys) this.key(key)
    for (const tag of tags) this.tag(tag)
  }

  #add(names: Set<string>, name: string): void {
    if (names.has(name)) return
    names.add(name)
    this.size++
    this.#characters += name.length
    if (this.size > this.#limit || this.#characters > MAX_CHARACTERS) this.all()
  }

  #clear(): void {
    this.#keys.clear()
    this.#tags.clear()
    this.#all = false
    this.#characters = 0
    this.size = 0
  }
}
