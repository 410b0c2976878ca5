import { Series } from './series.js'
import { median, type Point, trendOf } from './trend.js'

/** What grows: objects, Buffers and other memory outside of the heap, or memory that V8 does not know of. */
export type LeakKind = 'heap' | 'external' | 'native'

/** One look at something that might grow. */
export interface Reading {
  /** Milliseconds on the monitor's clock. */
  readonly at: number
  /** Requests counted so far. */
  readonly requests: number
  /** Bytes alive. */
  readonly bytes: number
}

export interface Finding {
  /** `suspected`: it grows like a leak; `confirmed`: and went on doing so for a quarter longer. */
  readonly state: 'suspected' | 'confirmed'
  /** How sure it is that this is a trend and no chance, 0 to 1 (Mann-Kendall). */
  readonly confidence: number
  /** Bytes since the warm-up. */
  readonly growth: number
  /** `undefined` when no requests were counted. */
  readonly bytesPerRequest: number | undefined
  readonly bytesPerHour: number
}

export interface LeakRule {
  /** Bytes. */
  readonly minGrowth: number
  readonly minRequests: number
  readonly confidence: number
}

const HOUR = 3_600_000
/** Fewer points than this have no direction. */
const FEWEST = 8
/** In a cache that fills, the newest growth is slower than the growth before; in a leak it is the same. */
const UNDIMINISHED = 0.85
/** A suspicion becomes a verdict when it still holds after so much more of the way. */
const CONFIRM_AFTER = 1.25
/** A finding is dropped when the newest growth is less than this share of the growth before: it has come to an end. */
const ENDED = 0.5
/** The later half needs a likely direction only: the confidence is stated for the whole. */
const LIKELY = 0.9

/**
 * Judges one kind of memory. A leak is growth that is real (enough bytes and requests, a trend with the stated
 * confidence) and *undiminished*: the last quarter of the way grows as fast as the quarter before it. That is what tells
 * it from start-up, and from a bounded cache on its way to being full. The axis is requests, so that a busy hour does not
 * look like a leak; time, when none are counted.
 */
export class LeakWatch {
  finding: Finding | undefined
  readonly #rule: LeakRule
  #series = new Series()
  #first: Reading | undefined
  #counted = false
  #suspectedAt = 0

  constructor(rule: LeakRule) {
    this.#rule = rule
  }

  /** Returns the finding when it is new or has become a verdict. */
  add(reading: Reading): Finding | undefined {
    const first = this.#start(reading)
    const x = this.#counted ? reading.requests - first.requests : reading.at - first.at
    if (!this.#series.add({ x, y: reading.bytes })) return undefined
    const before = this.finding?.state
    this.finding = this.#judge(first, reading)
    if (this.finding === undefined) this.#suspectedAt = 0
    return this.finding !== undefined && this.finding.state !== before ? this.finding : undefined
  }

  /** A process that begins to count late starts anew: the two axes do not mix. */
  #start(reading: Reading): Reading {
    const counting = this.#first !== undefined && reading.requests > this.#first.requests
    if (this.#first === undefined || (counting && !this.#counted && this.#series.points.length > 1)) {
      this.#first = reading
      this.#series = new Series()
    }
    this.#counted ||= counting
    return this.#first
  }

  #judge(first: Reading, last: Reading): Finding | undefined {
    const points = this.#series.points
    const requests = last.requests - first.requests
    if (points.length < FEWEST || (this.#counted && requests < this.#rule.minRequests)) return undefined
    const growth = level(points.slice(-3)) - level(points.slice(0, 3))
    if (growth < this.#rule.minGrowth) return undefined
    const { confidence } = trendOf(points)
    const half = trendOf(this.#series.part(0.5, 1))
    const before = trendOf(this.#series.part(0.5, 0.75)).slope
    const newest = trendOf(this.#series.part(0.75, 1)).slope
    const real = confidence >= this.#rule.confidence && half.confidence >= LIKELY && newest > 0
    const passes = real && newest >= UNDIMINISHED * before
    if (!passes && (this.finding === undefined || !real || newest < ENDED * before)) return undefined
    this.#suspectedAt ||= this.#series.span
    const held = passes && this.#series.span >= this.#suspectedAt * CONFIRM_AFTER
    const milliseconds = last.at - first.at
    return {
      state: held || this.finding?.state === 'confirmed' ? 'confirmed' : 'suspected',
      confidence,
      growth,
      bytesPerRequest: this.#counted ? half.slope : undefined,
      bytesPerHour: (this.#counted ? (half.slope * requests) / milliseconds : half.slope) * HOUR,
    }
  }
}

function level(points: readonly Point[]): number {
  return median(points.map(({ y }) => y))
}
