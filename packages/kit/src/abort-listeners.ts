type Listener = () => void

/** Those who listen to a signal, behind the one listener that the signal itself has. */
const listeners = new WeakMap<AbortSignal, Set<Listener>>()

/**
 * Calls back once when the signal aborts, unless {@link offAbort} comes first. Many may listen to one signal, such as all
 * the statements of one request: the signal has one listener for all of them, since Node warns of a leak from the
 * eleventh on. The signal must not have aborted yet.
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

/** Takes the listener back. One that is not there, or was called already, is none of its concern. */
export function offAbort(signal: AbortSignal, listener: Listener): void {
  const all = listeners.get(signal)
  if (all?.delete(listener) && all.size === 0) signal.removeEventListener('abort', tellAll)
}

/** Each as if it listened itself: one that throws keeps none of the others from hearing. */
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
