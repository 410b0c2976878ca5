import { Series } from './series.js'
import { type Point, trendOf } from './trend.js'

/** Kind of memory that grows: `heap`: objects; `external`: Buffers and the like; `native`: memory unknown to V8. */
export type LeakKind = 'heap' | 'external' | 'native'

/** One measurement of a kind of memory. */
export interface Reading {
  /** Milliseconds on the monitor's clock. */
  readonly at: number
  /** Requests counted so far. */
  readonly requests: number
  /** Bytes alive. */
  readonly bytes: number
}

export interface Finding {
  /** `suspected`: the growth looks like a leak; `confirmed`: it still did after a quarter more requests or time. */
  readonly state: 'suspected' | 'confirmed'
  /** Confidence that the growth is a trend and not chance, 0 to 1 (Mann-Kendall). */
  readonly confidence: number
  /** Bytes since the warm-up. */
  readonly growth: number
  /** `undefined` when no requests were counted. */
  readonly bytesPerRequest: number | undefined
  readonly bytesPerHour: number
}

export interface GrowthRule {
  /** Bytes. */
  readonly minGrowth: number
  readonly minRequests: number
  /** Milliseconds that must have been watched. */
  readonly warmup: number
  readonly confidence: number
}

const HOUR = 3_600_000
/** Fewer points than this have no direction. */
const FEWEST = 12
/** In a cache that fills, the later growth is slower than the earlier; in a leak it is the same. */
const UNDIMINISHED = 0.9
/** A suspicion is confirmed when it still holds at so many times the requests or time it was raised at. */
const CONFIRM_AFTER = 1.25
/** A finding is dropped when the later growth is less than this share of the earlier: it has come to an end. */
const ENDED = 0.5
/** From here on the way counts for how fast it grows: with less of it a wave sways the figure, with more a cache that filled. */
const SETTLED = 0.25
/** The later half needs a likely direction only: the confidence is stated for the whole. */
const LIKELY = 0.9

/**
 * Statistical test for one kind of memory. A leak is growth that is *real* (enough bytes, requests and time, a trend with the stated
 * confidence, and lows that rise from quarter to quarter, which waves and batches do not have) and *undiminished* (the
 * later part of the way grows as fast as the earlier, which start-up and a bounded cache on its way to being full do
 * not). The axis is requests, so that a busy hour does not look like a leak; time, when none are counted.
 */
export class GrowthTest {
  finding: Finding | undefined
  readonly #rule: GrowthRule
  #series = new Series()
  #first: Reading | undefined
  #counted = false
  #suspectedAt = 0

  constructor(rule: GrowthRule) {
    this.#rule = rule
  }

  /** Adds a measurement; returns the finding when it is new or newly confirmed. */
  add(reading: Reading): Finding | undefined {
    const first = this.#start(reading)
    const x = this.#counted ? reading.requests - first.requests : reading.at - first.at
    if (!this.#series.add({ x, y: reading.bytes })) return undefined
    const before = this.finding?.state
    this.finding = this.#judge(first, reading)
    if (this.finding === undefined) this.#suspectedAt = 0
    return this.finding !== undefined && this.finding.state !== before ? this.finding : undefined
  }

  /** Starts anew when the first request is counted late: time and requests cannot share an axis. */
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
    const requests = last.requests - first.requests
    const milliseconds = last.at - first.at
    if (this.#series.points.length < FEWEST || milliseconds < this.#rule.warmup) return undefined
    if (this.#counted && requests < this.#rule.minRequests) return undefined
    const lows = lowsOf(this.#series)
    if (!rising(lows)) return undefined
    // From the beginning of the first quarter to that of the last: three quarters of the way.
    const growth = ((lows[3].y - lows[0].y) * 4) / 3
    const { confidence } = trendOf(this.#series.points)
    const half = trendOf(this.#series.part(0.5, 1))
    const real =
      growth >= this.#rule.minGrowth && confidence >= this.#rule.confidence && half.confidence >= LIKELY
    const bySlopes = slopeSteadiness(this.#series, half.slope)
    const steadiness = Math.max(bySlopes, lowSteadiness(lows))
    const suspicious = real && steadiness >= UNDIMINISHED
    if (!suspicious && (this.finding === undefined || steadiness < ENDED)) return undefined
    this.#suspectedAt ||= this.#series.span
    const held = real && bySlopes >= UNDIMINISHED && this.#series.span >= this.#suspectedAt * CONFIRM_AFTER
    const slope = slopeOf(this.#series, SETTLED, 1)
    return {
      state: held || this.finding?.state === 'confirmed' ? 'confirmed' : 'suspected',
      confidence,
      growth,
      bytesPerRequest: this.#counted ? slope : undefined,
      bytesPerHour: (this.#counted ? (slope * requests) / milliseconds : slope) * HOUR,
    }
  }
}

type Lows = readonly [Point, Point, Point, Point]

/** The least reading of each quarter of the way; `undefined` for a quarter without any. */
function lowsOf(series: Series): (Point | undefined)[] {
  return [0, 0.25, 0.5, 0.75].map((from) => series.part(from, from + 0.25).toSorted((a, b) => a.y - b.y)[0])
}

function rising(lows: readonly (Point | undefined)[]): lows is Lows {
  return lows.every((low, i) => low !== undefined && (i === 0 || low.y > lows[i - 1]!.y))
}

/**
 * Later growth as a share of earlier growth: over the two last quarters (it does not mind what was at the beginning) or
 * over the two halves (it does not mind noise), whichever is larger.
 */
function slopeSteadiness(series: Series, half: number): number {
  const quarters = ratio(slopeOf(series, 0.75, 1), slopeOf(series, 0.5, 0.75))
  return Math.max(quarters, ratio(half, slopeOf(series, 0, 0.5)))
}

/** The same between lows. It does not mind a wave, and does not see yet whether the last quarter goes on. */
function lowSteadiness([first, second, third, fourth]: Lows): number {
  return ratio(rise(third, fourth), rise(first, second))
}

/** Not more than 2, also where nothing grew earlier. */
function ratio(later: number, earlier: number): number {
  return later <= 0 ? 0 : later / Math.max(earlier, later / 2)
}

function slopeOf(series: Series, from: number, to: number): number {
  return trendOf(series.part(from, to)).slope
}

function rise(from: Point, to: Point): number {
  return (to.y - from.y) / (to.x - from.x)
}
