/**
 * How many worker processes share this machine's budgets (connections, threads): `SPILLWAY_WORKERS`, set by the
 * supervisor for its workers; 1 when it is absent or not a positive integer.
 */
export function workerCount(env: NodeJS.ProcessEnv = process.env): number {
  const count = Number(env.SPILLWAY_WORKERS)
  return Number.isSafeInteger(count) && count > 0 ? count : 1
}

/** This worker's share of a machine-wide budget, rounded down, at least 1. */
export function shareOf(total: number, workers: number = workerCount()): number {
  return Math.max(1, Math.floor(total / workers))
}
