/** Single-flight cache of one value that is expensive to make: callers at the same time, or soon after, share it. */
export class MaxAgeCache<T> {
  readonly #make: () => Promise<T>
  #making: Promise<T> | undefined
  #made: { readonly value: T; readonly at: number } | undefined

  constructor(make: () => Promise<T>) {
    this.#make = make
  }

  /** @param maxAge how old the value may be, in milliseconds; 0: it is made again, or the one that is being made is shared */
  get(maxAge: number): Promise<T> {
    const made = this.#made
    if (made !== undefined && performance.now() - made.at < maxAge) return Promise.resolve(made.value)
    this.#making ??= this.#make()
      .then((value) => {
        this.#made = { value, at: performance.now() }
        return value
      })
      .finally(() => {
        this.#making = undefined
      })
    return this.#making
  }
}
