/** What a cache has counted since it was made. */
export class Counters {
  l1Hits = 0
  l2Hits = 0
  misses = 0
  /** Answers that were expired. */
  stale = 0
  loads = 0
  loadErrors = 0
  /** Callers who waited for a load that had begun already. */
  joins = 0
  /** Times another process was found loading. */
  leaseWaits = 0
  invalidations = 0
}
