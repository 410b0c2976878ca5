import { GCProfiler } from 'node:v8'

export type GcKind = 'minor' | 'major' | 'incremental' | 'other'

export interface GcKindStats {
  /** V8GcMeter since the monitor was made. */
  count: number
  /** Milliseconds of pause, all together. */
  pause: number
  /** Milliseconds of the longest pause. */
  longest: number
}

/** Sizes right after a full collection, in bytes: the best measure of what is alive. */
export interface LiveSize {
  readonly heap: number
  readonly external: number
}

export interface GcMeter {
  readonly byKind: Readonly<Record<GcKind, GcKindStats>>
  /** Bytes allocated on the heap up to the last collection. */
  readonly allocated: number
  /** After the last full collection; `undefined` before the first. */
  readonly live: LiveSize | undefined
  /** Counts the collections since the last call; returns what each full one left alive. */
  drain(): LiveSize[]
  stop(): void
}

const KINDS: Readonly<Record<string, GcKind>> = {
  Scavenge: 'minor',
  MinorMarkCompact: 'minor',
  MinorMarkSweep: 'minor',
  MarkSweepCompact: 'major',
  MarkCompact: 'major',
  IncrementalMarking: 'incremental',
}

const MICROSECONDS = 1_000

/**
 * Counts garbage collections, their pauses and the heap that each left, by `v8.GCProfiler`. A performance observer reports
 * pauses only.
 */
export class V8GcMeter implements GcMeter {
  readonly byKind: Readonly<Record<GcKind, GcKindStats>> = {
    minor: { count: 0, pause: 0, longest: 0 },
    major: { count: 0, pause: 0, longest: 0 },
    incremental: { count: 0, pause: 0, longest: 0 },
    other: { count: 0, pause: 0, longest: 0 },
  }
  allocated = 0
  live: LiveSize | undefined
  #profiler = started()
  /** Bytes in use after the last collection. */
  #left: number | undefined

  drain(): LiveSize[] {
    const finished = this.#profiler
    const { statistics } = finished.stop()
    this.#profiler = started()
    const liveSizes: LiveSize[] = []
    for (const { gcType, cost, beforeGC, afterGC } of statistics) {
      const kind = KINDS[gcType] ?? 'other'
      const stats = this.byKind[kind]
      const pause = cost / MICROSECONDS
      stats.count++
      stats.pause += pause
      stats.longest = Math.max(stats.longest, pause)
      const before = beforeGC.heapStatistics.usedHeapSize
      this.allocated += Math.max(0, before - (this.#left ?? before))
      this.#left = afterGC.heapStatistics.usedHeapSize
      if (kind !== 'major') continue
      const { usedHeapSize, externalMemory } = afterGC.heapStatistics
      liveSizes.push({ heap: usedHeapSize, external: externalMemory })
    }
    this.live = liveSizes.at(-1) ?? this.live
    return liveSizes
  }

  stop(): void {
    this.#profiler.stop()
  }
}

function started(): GCProfiler {
  const profiler = new GCProfiler()
  profiler.start()
  return profiler
}
