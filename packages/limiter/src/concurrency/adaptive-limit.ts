import type { Duration } from '@spillway/kit'
import { type Clock, defineOptions, duration, having, integer, monotonicClock, number } from '@spillway/kit'

/** Options of `adaptiveLimit`. */
export interface AdaptiveLimitOptions {
  /** Never fewer calls in flight than this. Default: 4. */
  readonly min?: number
  /** Never more. Default: 1,000. */
  readonly max?: number
  /** The limit at the start. Default: 20. */
  readonly initial?: number
  /** How much slower than usual calls may become before the limit sinks, as a factor. Default: 1.5. */
  readonly tolerance?: number
  /** Calls above what the measured times justify, so that the limit can grow; they queue downstream. Default: 4. */
  readonly headroom?: number
  /** The limit is judged anew at most this often, and from at least ten calls. Default: `'500ms'`. */
  readonly window?: Duration
  /** Milliseconds that never go back. Default: `performance.now()`. */
  readonly clock?: Clock
}

export const ADAPTIVE_LIMIT_DEFAULTS = Object.freeze({
  min: 4,
  max: 1_000,
  initial: 20,
  tolerance: 1.5,
  headroom: 4,
  window: 500,
  clock: monotonicClock,
})

const resolveOptions = defineOptions(
  'limiter',
  'adaptiveLimit',
  {
    min: integer({ min: 1 }),
    max: integer({ min: 1 }),
    initial: integer({ min: 1 }),
    tolerance: number({ min: 1 }),
    headroom: integer({ min: 1 }),
    window: duration({ min: 1 }),
    clock: having<Clock>('a clock', 'now'),
  },
  ADAPTIVE_LIMIT_DEFAULTS,
)

const FEWEST_SAMPLES = 10
/** Part of each judgement that goes into the limit. */
const SMOOTHING = 0.2
/** Windows over which "usual" is measured. */
const LONG = 100

/**
 * An adaptive limit of calls in flight, by the Gradient2 algorithm of Netflix's concurrency-limits. When calls take longer
 * than usual, they queue somewhere, and the limit sinks by as much; else it grows by the headroom.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function adaptiveLimit(options?: AdaptiveLimitOptions): AdaptiveLimit {
  return new AdaptiveLimit(options)
}

/** The limit that `adaptiveLimit` makes. */
export class AdaptiveLimit {
  readonly #options: ReturnType<typeof resolveOptions>
  #limit: number
  /** How long calls usually take, in milliseconds. */
  #usual = 0
  #windows = 0
  #windowEnd = 0
  #samples = 0
  #sum = 0
  #mostInFlight = 0

  constructor(options?: AdaptiveLimitOptions) {
    this.#options = resolveOptions(options)
    const { initial, min, max } = this.#options
    this.#limit = Math.min(Math.max(initial, min), max)
  }

  /** Calls that may be in flight now. */
  get current(): number {
    return Math.floor(this.#limit)
  }

  /** A call took `milliseconds`, while `inFlight` were in flight. */
  sample(milliseconds: number, inFlight: number): void {
    this.#samples++
    this.#sum += milliseconds
    this.#mostInFlight = Math.max(this.#mostInFlight, inFlight)
    const now = this.#options.clock.now()
    if (this.#windowEnd === 0) this.#windowEnd = now + this.#options.window
    if (now < this.#windowEnd || this.#samples < FEWEST_SAMPLES) return
    this.#judge(this.#sum / this.#samples, this.#mostInFlight)
    this.#windowEnd = now + this.#options.window
    this.#samples = 0
    this.#sum = 0
    this.#mostInFlight = 0
  }

  #judge(recent: number, inFlight: number): void {
    const { min, max, tolerance, headroom } = this.#options
    // A plain mean at first, so that the very first window does not weigh for ever; then an exponential one.
    this.#windows = Math.min(this.#windows + 1, LONG)
    this.#usual += (recent - this.#usual) / this.#windows
    // After a long bad time "usual" is bad too; it recovers faster than it got there.
    if (this.#usual > 2 * recent) this.#usual *= 0.95
    // With few calls in flight the times say nothing about the limit.
    if (inFlight < this.#limit / 2) return
    const gradient = recent === 0 ? 1 : Math.min(1, Math.max(0.5, (tolerance * this.#usual) / recent))
    const judged = this.#limit * gradient + headroom
    this.#limit = Math.min(Math.max(this.#limit + (judged - this.#limit) * SMOOTHING, min), max)
  }
}
