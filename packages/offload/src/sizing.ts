import { availableCpus, shareOf, workerCount } from '@spillway/kit'

/**
 * Threads for this process: the CPUs that the container allows, shared among the workers of the machine. One is left to
 * the event loop, unless that would halve what there is.
 */
export function automaticThreads(cpus: number = availableCpus(), workers: number = workerCount()): number {
  const share = shareOf(cpus, workers)
  return share > 2 ? share - 1 : share
}
