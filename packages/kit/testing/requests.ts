import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'

/** A message of a channel, and the request in whose context it arrived; `undefined`: in that of none. */
export interface Heard {
  readonly channel: string
  readonly message: object
  readonly request: number | undefined
}

/**
 * Runs so many requests at once, each in an asynchronous context of its own, as a tracer does; returns what was published
 * on the channels meanwhile.
 */
export async function heardInRequests(
  channels: readonly string[],
  count: number,
  handle: (request: number) => unknown,
): Promise<Heard[]> {
  const storage = new AsyncLocalStorage<number>()
  const heard: Heard[] = []
  const listener = (message: unknown, channel: string | symbol): void => {
    heard.push({ channel: String(channel), message: message as object, request: storage.getStore() })
  }
  for (const channel of channels) subscribe(channel, listener)
  try {
    await Promise.all(
      Array.from({ length: count }, (_, request) => storage.run(request, async () => handle(request))),
    )
    return heard
  } finally {
    for (const channel of channels) unsubscribe(channel, listener)
  }
}
