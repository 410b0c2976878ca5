/** The most recent of something that costs to make, for all who want it at the same time, or soon after. */
export class MaxAgeCache<T> {
  readonly #make: () => Promise<T>
  #making: Promise<T> | undefined
  #made: { readonly value: T; readonly at: number } | undefined

  constructor(make: () => Promise<T>) {
    this.#make = make
  }

  /** @param maxAge how old it may be, in milliseconds; 0: made anew, unless it is being made */
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
