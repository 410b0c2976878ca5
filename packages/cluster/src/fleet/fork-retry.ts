import type { PendingRestart } from './restart-queue.js'
import type { Restarts } from './restarts.js'

/** Errors that pass: the machine is short of a resource now, and may have it again later. */
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

/** The slot of a worker that could not be forked, with the time of the next attempt. */
export function retryLater(
  { slot, streak, failedForks }: PendingRestart,
  restarts: Restarts,
  now: number,
): PendingRestart {
  const { times, since } = failedForks ?? { times: 0, since: now }
  return { slot, streak, at: now + restarts.retryIn(times), failedForks: { times: times + 1, since } }
}

/** Whether another attempt is useless: the error does not pass, or attempts have failed for `patience` milliseconds. */
export function isPermanent(
  { failedForks }: PendingRestart,
  { code = '' }: NodeJS.ErrnoException,
  now: number,
  patience: number,
): boolean {
  return !PASSING.has(code) || now - (failedForks?.since ?? now) >= patience
}
