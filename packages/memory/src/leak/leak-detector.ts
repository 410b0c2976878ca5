import type { Sample, Sampler } from '../sampling/sampler.js'
import { type Finding, GrowthTest, type LeakKind } from './growth-test.js'
import type { LeakPolicy } from './leak-options.js'

export interface LeakChange {
  readonly kind: LeakKind
  readonly finding: Finding
}

/** The heap in use right after a collection of young objects is the least of some samples in a row. */
const LOW_WATER = 8
/** No collector tells how much native memory is alive: the least value of so many milliseconds is taken. */
const NATIVE_EVERY = 10_000
/** Native memory must grow by so many times `minGrowth`: allocators keep and split blocks, which is noise. */
const NATIVE_FACTOR = 4
/** A forced collection is worth it when the heap seems to have changed by this share of a leak. */
const STEP = 1 / 8
/** Time for collections that was not used is saved up, for so many milliseconds. */
const SAVED = 120_000
/** With time saved up, collections follow so many times as closely as without: evenly spread, they tell more of a wave. */
const RUSH = 2
/** After collections that found nothing, wait longer and longer. */
const LONGEST_BACKOFF = 600_000
/** Milliseconds per byte, until the first collection has been timed. */
const GUESSED_PAUSE = 1 / 1024 ** 2
/** A collection that was slow on a busy machine does not stay so: the estimate of its pause halves in this time. */
const FORGET_PAUSE = 60_000

/**
 * Feeds what is alive after full collections to one watch for the heap and one for external memory, and resident
 * memory that is neither to a third. V8's own full collections may be many minutes apart; when the heap seems to have
 * grown or shrunk meanwhile, one is forced, within a budget of time: the lows of a wave tell as much as its highs.
 */
export class LeakDetector {
  readonly #policy: LeakPolicy
  readonly #sampler: Sampler
  readonly #tests: Readonly<Record<LeakKind, GrowthTest>>
  readonly #beginAt: number
  #recent: { heap: number; external: number }[] = []
  #native = Number.POSITIVE_INFINITY
  #nativeAt: number
  #forcedAt = Number.NEGATIVE_INFINITY
  #pausePerByte = GUESSED_PAUSE
  #backoff = 0
  /** Milliseconds that forced collections may take by now; negative after one that took longer. */
  #credit = 0
  #creditAt: number
  /** Milliseconds between the last collection and the next, at least. */
  #rest = 0
  /** Forced collections so far. */
  forced = 0

  constructor(policy: LeakPolicy, sampler: Sampler, now: number) {
    this.#policy = policy
    this.#sampler = sampler
    this.#beginAt = now + policy.warmup
    this.#nativeAt = this.#beginAt
    this.#creditAt = now
    const native = { ...policy, minGrowth: policy.minGrowth * NATIVE_FACTOR }
    this.#tests = {
      heap: new GrowthTest(policy),
      external: new GrowthTest(policy),
      native: new GrowthTest(native),
    }
  }

  finding(kind: LeakKind): Finding | undefined {
    return this.#tests[kind].finding
  }

  /** At each sample. `quiet`: the process can afford a collection. Returns findings that are new or newly confirmed. */
  update(sample: Sample, requests: number, quiet: boolean): LeakChange[] {
    const started = sample.at >= this.#beginAt
    this.#save(sample.at)
    if (started && quiet && this.#worthForcing(sample)) this.#force(sample)
    const liveSizes = this.#sampler.takeLiveSizes()
    if (!started) return []
    const changes: LeakChange[] = []
    const add = (kind: LeakKind, bytes: number): void => {
      const finding = this.#tests[kind].add({ at: sample.at, requests, bytes })
      if (finding !== undefined) changes.push({ kind, finding })
    }
    for (const live of liveSizes) {
      add('heap', live.heap)
      add('external', live.external)
    }
    this.#native = Math.min(this.#native, sample.native)
    if (sample.at - this.#nativeAt >= NATIVE_EVERY) {
      add('native', this.#native)
      this.#native = Number.POSITIVE_INFINITY
      this.#nativeAt = sample.at
    }
    return changes
  }

  /** A full collection now, if it is allowed and short enough. */
  settle(sample: Sample): void {
    if (this.#affordable(sample)) this.#force(sample)
  }

  #worthForcing(sample: Sample): boolean {
    this.#recent.push({ heap: sample.heapUsed, external: sample.external })
    if (this.#recent.length > LOW_WATER) this.#recent.shift()
    if (!this.#affordable(sample) || sample.at - this.#forcedAt < this.#backoff) return false
    if (this.#credit <= 0 || sample.at - this.#forcedAt < this.#rest) return false
    const { live } = this.#sampler.collections
    if (live === undefined) return true
    const step = this.#policy.minGrowth * STEP
    const moved = (name: 'heap' | 'external') => {
      const low = Math.min(...this.#recent.map((reading) => reading[name]))
      return low - live[name] >= step || live[name] - low >= step
    }
    return this.#recent.length === LOW_WATER && (moved('heap') || moved('external'))
  }

  #save(now: number): void {
    const { collectionBudget } = this.#policy
    const saved = this.#credit + (now - this.#creditAt) * collectionBudget
    this.#credit = Math.min(saved, SAVED * collectionBudget)
    this.#creditAt = now
  }

  #affordable(sample: Sample): boolean {
    const { forceCollections, collectionBudget, maxPause } = this.#policy
    return forceCollections && collectionBudget > 0 && this.#expectedPause(sample) <= maxPause
  }

  #expectedPause({ at, heapUsed }: Sample): number {
    const age = this.forced === 0 ? 0 : at - this.#forcedAt
    return this.#pausePerByte * heapUsed * 0.5 ** (age / FORGET_PAUSE)
  }

  #force(sample: Sample): void {
    const before = this.#sampler.collections.live
    const pause = this.#sampler.collect(sample.at)
    const after = this.#sampler.collections.live
    this.#pausePerByte = pause / Math.max(1, sample.heapUsed)
    this.#credit -= pause
    this.#rest = pause / (this.#policy.collectionBudget * RUSH)
    this.#forcedAt = sample.at
    this.#recent = []
    this.forced++
    if (before === undefined || after === undefined) return
    const rise = Math.max(after.heap - before.heap, after.external - before.external)
    const found = rise >= (this.#policy.minGrowth * STEP) / 2
    this.#backoff = found ? 0 : Math.min(LONGEST_BACKOFF, Math.max(1_000, this.#backoff * 2))
  }
}
