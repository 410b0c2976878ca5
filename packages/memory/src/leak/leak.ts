import type { SnapshotDiff } from '../heap/snapshot-diff.js'
import type { AllocationSite } from './allocation-sites.js'
import type { Finding, LeakKind } from './growth-test.js'

/** A leak: what grows, how fast, from where, held by whom. */
export interface Leak extends Finding {
  readonly kind: LeakKind
  /** Milliseconds until the limit at this rate; `undefined` when it is further away than a year. */
  readonly timeToLimit: number | undefined
  /** What to do next. */
  readonly advice: string
  /** Places whose allocations stay alive, the largest first. Empty until the leak is confirmed, and for native memory. */
  readonly sites: readonly AllocationSite[]
  /** Growth by constructor, and what holds the objects; only with two snapshots (`snapshot.onLeak`). */
  readonly diff: SnapshotDiff | undefined
  /** Files written on the way, for Chrome DevTools: `.heapsnapshot`, `.heapprofile`. */
  readonly files: readonly string[]
  /** Steps of the investigation that failed, and why. */
  readonly notes: readonly string[]
}

/** What an investigation has found so far. */
export type Evidence = Pick<Leak, 'sites' | 'diff' | 'files' | 'notes'>

export const NO_EVIDENCE: Evidence = Object.freeze({ sites: [], diff: undefined, files: [], notes: [] })

const YEAR = 365 * 24 * 3_600_000
const HOUR = 3_600_000

/** `room`: bytes to the limit. */
export function timeToLimit(room: number, bytesPerHour: number): number | undefined {
  const milliseconds = bytesPerHour > 0 ? (Math.max(0, room) / bytesPerHour) * HOUR : Number.POSITIVE_INFINITY
  return milliseconds < YEAR ? milliseconds : undefined
}

export const ADVICE: Readonly<Record<LeakKind, string>> = Object.freeze({
  heap: 'Objects are kept: look at the sites, and compare two heap snapshots to see what holds them.',
  external:
    'Buffers or other memory outside of the heap are kept: look for Buffers in Maps, unread streams and slices of large Buffers.',
  native:
    'Resident memory grows and neither the heap nor the Buffers do: fragmentation or a native addon. Try MALLOC_ARENA_MAX=2 or jemalloc; a heap snapshot will not show it.',
})
