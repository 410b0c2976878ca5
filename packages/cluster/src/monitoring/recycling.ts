import type { LeaveReason } from '../events.js'
import type { Load } from '../ipc/messages.js'
import type { WorkerProcess } from '../spawn/worker-process.js'

/** The limits beyond which a worker is replaced. */
export interface RecycleLimits {
  /** Bytes; `false`: no mark. */
  readonly maxRss: number | false
  /** Bytes. */
  readonly maxHeap: number | false
  /** Milliseconds. */
  readonly maxAge: number | false
  readonly maxRequests: number | false
}

/** Reports over the mark in a row before it counts: a peak is not a leak. */
const PATIENCE = 3

/** Ages and request counts differ by up to this share from worker to worker, so that they do not all go at once. */
const SPREAD = 0.1

/**
 * Whether a worker has had its time. A worker that is over a memory mark from its first report on has no leak: a fresh
 * one would be the same, so it is left alone until it has grown by a fifth over what it had when it became ready.
 */
export function recycleReason(
  worker: WorkerProcess,
  load: Load,
  marks: RecycleLimits,
  now: number,
): LeaveReason | undefined {
  const { maxRss, maxHeap, maxAge, maxRequests } = marks
  const baseline = (worker.firstLoad ??= load)
  const leaks = beyond(load.rss, maxRss, baseline.rss) || beyond(load.heapUsed, maxHeap, baseline.heapUsed)
  worker.overLimit = leaks ? worker.overLimit + 1 : 0
  if (worker.overLimit >= PATIENCE) return 'memory'
  if (maxAge !== false && now - worker.startedAt >= maxAge * (1 - SPREAD * worker.spread)) return 'age'
  if (maxRequests !== false && load.requests >= maxRequests * (1 - SPREAD * worker.spread)) return 'requests'
  return undefined
}

function beyond(bytes: number, mark: number | false, baseline: number): boolean {
  return mark !== false && bytes > mark && (baseline <= mark || bytes > baseline * 1.2)
}
