/** When to add a worker, and when to remove one. */
export interface AutoscaleRules {
  readonly min: number
  readonly max: number
  /** Utilisation, 0 to 1. */
  readonly up: number
  readonly down: number
  /** Milliseconds. */
  readonly upAfter: number
  readonly downAfter: number
}

/**
 * How many workers the load asks for. Hysteresis on both axes: it takes time above `up` to add one, a longer time below
 * `down` to remove one, and one is removed only when the others would still stay below `up` with its share.
 */
export class Autoscaler {
  readonly #rules: AutoscaleRules
  #highSince: number | undefined
  #lowSince: number | undefined

  constructor(rules: AutoscaleRules) {
    this.#rules = rules
  }

  /** The number of workers there should be, given the event-loop utilisation of each that is ready. */
  decide(utilizations: readonly number[], workers: number, now: number): number {
    const { min, max, up, down, upAfter, downAfter } = this.#rules
    if (workers < min) return min
    if (workers > max) return max
    if (utilizations.length === 0) return workers
    const sum = utilizations.reduce((total, each) => total + each, 0)
    const mean = sum / utilizations.length
    const withOneLess = sum / Math.max(1, workers - 1)
    this.#highSince = mean > up ? (this.#highSince ?? now) : undefined
    this.#lowSince = mean < down && withOneLess < up ? (this.#lowSince ?? now) : undefined
    if (this.#highSince !== undefined && now - this.#highSince >= upAfter && workers < max) {
      this.#highSince = undefined
      return workers + 1
    }
    if (this.#lowSince !== undefined && now - this.#lowSince >= downAfter && workers > min) {
      this.#lowSince = undefined
      return workers - 1
    }
    return workers
  }
}
