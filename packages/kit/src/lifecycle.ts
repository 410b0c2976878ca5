import { sleep } from './abort.js'
import { type Duration, durationMs } from './durations.js'

export interface CloseOptions {
  /** How long work in progress may take to finish before it is cut off. Default: the object's own. */
  readonly timeout?: Duration
  /** Cuts the waiting short; the object is still released. */
  readonly signal?: AbortSignal
}

export interface Closable extends AsyncDisposable {
  close(options?: CloseOptions): Promise<void>
}

/**
 * Makes `close` idempotent: `release` runs once, and each caller gets the same promise.
 * The order inside `release` is always: stop admitting, drain, release, clear timers.
 */
export function closeOnce(
  release: (options: CloseOptions) => Promise<void> | void,
): (options?: CloseOptions) => Promise<void> {
  let closing: Promise<void> | undefined
  return (options = {}) => {
    closing ??= (async () => release(options))()
    return closing
  }
}

/**
 * Waits for `drained`, but no longer than the close options allow; a timeout that is no duration counts as not given.
 * Tells whether it came in time. Never rejects; the timer it needs does not keep the process alive.
 */
export async function drainWithin(
  drained: Promise<unknown>,
  { timeout, signal }: CloseOptions,
  fallback: Duration,
): Promise<boolean> {
  const limit = new AbortController()
  const stop = signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal])
  const done = drained.then(
    () => true,
    () => true,
  )
  const late = sleep(durationMs(timeout) ?? durationMs(fallback) ?? 0, { signal: stop }).then(
    () => false,
    () => false,
  )
  try {
    return await Promise.race([done, late])
  } finally {
    limit.abort()
  }
}
