/** The longest delay a Node timer takes; beyond it, it fires at once. */
export const MAX_TIMER = 2_147_483_647

interface Relay {
  readonly listeners: Set<() => void>
  stop(): void
}

const relays = new WeakMap<AbortSignal, Relay>()

/**
 * Calls `listener` when `signal` aborts, until the returned function is called. A signal gets one listener from here,
 * however many calls share it: Node warns of a leak from the eleventh on.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  const { listeners, stop } = relays.get(signal) ?? relayOf(signal)
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) stop()
  }
}

function relayOf(signal: AbortSignal): Relay {
  const listeners = new Set<() => void>()
  const stop = () => {
    signal.removeEventListener('abort', relay)
    if (relays.get(signal)?.listeners === listeners) relays.delete(signal)
  }
  // Each as if it listened itself: one that throws keeps none of the others from hearing.
  const relay = () => {
    stop()
    for (const listener of listeners) {
      try {
        listener()
      } catch (error) {
        process.nextTick(() => {
          throw error
        })
      }
    }
  }
  signal.addEventListener('abort', relay, { once: true })
  const made = { listeners, stop }
  relays.set(signal, made)
  return made
}

/**
 * Settles like `promise`, unless `signal` aborts first: then rejects with `signal.reason`. The listener is removed
 * either way, so a long-lived signal does not collect them. It stops the *waiting*; stopping the work is the
 * caller's.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  if (signal.aborted) {
    promise.catch(() => {})
    return Promise.reject(signal.reason)
  }
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, () => reject(signal.reason))
    promise.then(resolve, reject).finally(release)
  })
}

export interface SleepOptions {
  readonly signal?: AbortSignal | undefined
  /** Keep the process alive while sleeping. Default: false. */
  readonly ref?: boolean
}

/** Resolves after `milliseconds` (capped at {@link MAX_TIMER}); rejects with `signal.reason` on abort. */
export function sleep(milliseconds: number, { signal, ref = false }: SleepOptions = {}): Promise<void> {
  if (signal?.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const release =
      signal &&
      onAbort(signal, () => {
        clearTimeout(timer)
        reject(signal.reason)
      })
    const timer = setTimeout(
      () => {
        release?.()
        resolve()
      },
      Math.min(milliseconds, MAX_TIMER),
    )
    if (!ref) timer.unref()
  })
}
