import type { Level, Reason } from './level.js'
import type { GcKind, GcKindStats } from './sampling/gc-meter.js'
import type { Sample } from './sampling/sampler.js'

/** What `monitor.stats()` returns: a plain snapshot of its figures. */
export interface MemoryStats {
  readonly level: Level
  readonly overloaded: boolean
  readonly reasons: readonly Reason[]
  /** The last sample. */
  readonly sample: Sample
  readonly samples: number
  /** Requests counted. */
  readonly requests: number
  /** Requests refused by `shedLoad`. */
  readonly refused: number
  /** Share of ordinary requests refused right now because the event loop is late. */
  readonly shedShare: number
  readonly replacementsAsked: number
  /** Garbage collections by kind; pauses in milliseconds. */
  readonly collections: Readonly<Record<GcKind, GcKindStats>>
  /** Full collections that the leak detector has forced. */
  readonly forcedCollections: number
  /** Leaks that are suspected or confirmed. */
  readonly leaks: number
  readonly snapshots: number
}
