import { offAbort, onAbort } from './abort-listeners.js'

/** The longest delay a Node timer takes; beyond it, it fires at once. */
export const MAX_TIMER = 2_147_483_647

/**
 * Settles like `promise`, unless `signal` aborts first: then rejects with `signal.reason`. The listener is removed
 * in both cases, so that a long-lived signal does not collect listeners. Only the *waiting* ends; the caller ends the work.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  if (signal.aborted) {
    promise.catch(() => {})
    return Promise.reject(signal.reason)
  }
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    onAbort(signal, stop)
    promise.then(resolve, reject).finally(() => offAbort(signal, stop))
  })
}

export interface SleepOptions {
  /** Ends the sleep. Default: none. */
  readonly signal?: AbortSignal | undefined
  /** Keep the process alive while sleeping. Default: false. */
  readonly ref?: boolean
}

/** Resolves after `milliseconds` (capped at {@link MAX_TIMER}); rejects with `signal.reason` on abort. */
export function sleep(milliseconds: number, { signal, ref = false }: SleepOptions = {}): Promise<void> {
  if (signal?.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(
      () => {
        if (signal !== undefined) offAbort(signal, stop)
        resolve()
      },
      Math.min(milliseconds, MAX_TIMER),
    )
    if (!ref) timer.unref()
    if (signal !== undefined) onAbort(signal, stop)
  })
}
