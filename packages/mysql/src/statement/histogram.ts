const BUCKETS = 96
// Almost four buckets for each doubling, from 10 microseconds: 20 % wide, up to 10 minutes.
const PER_DOUBLING = 3.7
const LEAST = 0.01

/** How long things took, in milliseconds: counts in buckets whose width grows with the value. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #count = 0
  #sum = 0
  #max = 0

  get count(): number {
    return this.#count
  }

  get sum(): number {
    return this.#sum
  }

  get max(): number {
    return this.#max
  }

  record(milliseconds: number): void {
    this.#count++
    this.#sum += milliseconds
    if (milliseconds > this.#max) this.#max = milliseconds
    const index = milliseconds <= LEAST ? 0 : Math.ceil(Math.log2(milliseconds / LEAST) * PER_DOUBLING)
    this.#counts[index < BUCKETS ? index : BUCKETS - 1]!++
  }

  /** The value that a share of all values do not pass, rounded up to its bucket's end; 0 when there are none. */
  quantile(share: number): number {
    let left = Math.ceil(this.#count * share)
    if (left === 0) return 0
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.#counts[i]!
      if (left <= 0) return Math.min(this.#max, LEAST * 2 ** (i / PER_DOUBLING))
    }
    return this.#max
  }

  reset(): void {
    this.#counts.fill(0)
    this.#count = 0
    this.#sum = 0
    this.#max = 0
  }
}
