import type { PendingRestart } from './restart-queue.js'
import type { Restarts } from './restarts.js'

/** Errors of a machine that is short of something now, and may not be later. */
const PASSING = new Set([
  'EAGAIN',
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'ENOSPC',
  'EPIPE',
  'EINTR',
  'EIO',
])

/** When to try a place retryLater whose worker could not be forked. */
export function retryLater(
  { slot, streak, failedForks }: PendingRestart,
  restarts: Restarts,
  now: number,
): PendingRestart {
  const { times, since } = failedForks ?? { times: 0, since: now }
  return { slot, streak, at: now + restarts.retryIn(times), failedForks: { times: times + 1, since } }
}

/** Whether trying retryLater is of no use to someone who waits at most `patience` milliseconds for it. */
export function isPermanent(
  { failedForks }: PendingRestart,
  { code = '' }: NodeJS.ErrnoException,
  now: number,
  patience: number,
): boolean {
  return !PASSING.has(code) || now - (failedForks?.since ?? now) >= patience
}
