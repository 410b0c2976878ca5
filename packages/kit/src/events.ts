import type { EventEmitter } from 'node:events'

/**
 * Emits an event so that a listener's mistake stays the listener's: an exception or a rejected promise becomes a
 * process warning instead of breaking the caller or killing the process. An `error` event without a listener
 * is no exception either.
 */
export function notify<Events extends Record<keyof Events, unknown[]>, Name extends keyof Events & string>(
  emitter: EventEmitter<Events>,
  event: Name,
  ...args: Events[Name]
): void {
  const source = emitter as EventEmitter
  if (source.listenerCount(event) === 0) return
  for (const listener of source.rawListeners(event)) {
    try {
      const result: unknown = Reflect.apply(listener, source, args)
      if (result instanceof Promise) result.catch((error) => warn(event, error))
    } catch (error) {
      warn(event, error)
    }
  }
}

function warn(event: string, error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.emitWarning(`A listener of "${event}" failed: ${text}`, { code: 'SPILLWAY_LISTENER' })
}
