import { subscribe, unsubscribe } from 'node:diagnostics_channel'

/** Listens to a channel until it is disposed of. */
export function heardOn<T extends object>({
  name,
}: {
  readonly name: string
  publish(message: () => T): void
}) {
  const messages: T[] = []
  const listener = (message: unknown) => void messages.push(message as T)
  subscribe(name, listener)
  return { messages, [Symbol.dispose]: () => void unsubscribe(name, listener) }
}
