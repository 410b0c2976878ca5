type Listener = () => void

/** The callbacks of each signal, all called by the one listener that the signal itself has. */
const listeners = new WeakMap<AbortSignal, Set<Listener>>()

/**
 * Calls `listener` once when the signal aborts, unless {@link offAbort} comes first. All callbacks of a signal share one
 * listener: a signal is often shared, for instance by all statements of a request, and Node warns of a leak at the eleventh
 * listener. The signal must not have aborted yet.
 */
export function onAbort(signal: AbortSignal, listener: Listener): void {
  let all = listeners.get(signal)
  if (all === undefined) {
    all = new Set()
    listeners.set(signal, all)
  }
  if (all.size === 0) signal.addEventListener('abort', tellAll, { once: true })
  all.add(listener)
}

/** Removes the callback. Does nothing when the callback is not there or was called already. */
export function offAbort(signal: AbortSignal, listener: Listener): void {
  const all = listeners.get(signal)
  if (all?.delete(listener) && all.size === 0) signal.removeEventListener('abort', tellAll)
}

/** As with listeners of an event, a callback that throws does not stop the others: its error becomes an uncaught exception. */
function tellAll({ target }: Event): void {
  const signal = target as AbortSignal
  const all = listeners.get(signal) ?? new Set()
  for (const listener of all) {
    all.delete(listener)
    try {
      listener()
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }
  listeners.delete(signal)
}
