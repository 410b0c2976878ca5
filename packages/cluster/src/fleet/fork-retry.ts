import type { Vacancy } from './restart-queue.js'
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

/** When to try a place again whose worker could not be forked. */
export function again({ slot, streak, unborn }: Vacancy, restarts: Restarts, now: number): Vacancy {
  const { times, since } = unborn ?? { times: 0, since: now }
  return { slot, streak, at: now + restarts.retryIn(times), unborn: { times: times + 1, since } }
}

/** Whether trying again is of no use to someone who waits at most `patience` milliseconds for it. */
export function isHopeless(
  { unborn }: Vacancy,
  { code = '' }: NodeJS.ErrnoException,
  now: number,
  patience: number,
): boolean {
  return !PASSING.has(code) || now - (unborn?.since ?? now) >= patience
}
