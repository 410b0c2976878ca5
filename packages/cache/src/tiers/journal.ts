/** What must still be told to the store. */
export interface Debt {
  readonly keys: readonly string[]
  readonly tags: readonly string[]
  readonly all: boolean
}

/**
 * The invalidations that did not reach the store. While there are any the store is not believed. Bounded: past the
 * limit everything becomes one invalidation of the whole namespace.
 */
export class Journal {
  readonly #limit: number
  #keys = new Set<string>()
  #tags = new Set<string>()
  #all = false

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#keys.size + this.#tags.size + (this.#all ? 1 : 0)
  }

  key(key: string): void {
    if (!this.#all) this.#keys.add(key)
    this.#bound()
  }

  tag(tag: string): void {
    if (!this.#all) this.#tags.add(tag)
    this.#bound()
  }

  all(): void {
    this.#all = true
    this.#keys.clear()
    this.#tags.clear()
  }

  /** Takes everything out. Give it back with {@link restore} when it could not be paid. */
  take(): Debt {
    const debt = { keys: [...this.#keys], tags: [...this.#tags], all: this.#all }
    this.#keys.clear()
    this.#tags.clear()
    this.#all = false
    return debt
  }

  restore({ keys, tags, all }: Debt): void {
    if (all) this.all()
    for (const key of keys) this.key(key)
    for (const tag of tags) this.tag(tag)
  }

  #bound(): void {
    if (this.size > this.#limit) this.all()
  }
}
