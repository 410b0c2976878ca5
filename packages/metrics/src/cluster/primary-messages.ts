/**
 * What the primary sends to this worker, for all `Metrics` of the process: one listener on the process, which would warn
 * of a leak when each had its own.
 */
const receivers = new Set<(message: unknown) => void>()

function receive(message: unknown): void {
  for (const receiver of receivers) receiver(message)
}

/** Calls `receiver` with each message of the primary; returns what ends it. */
export function onPrimaryMessage(receiver: (message: unknown) => void): () => void {
  if (receivers.size === 0) process.on('message', receive)
  receivers.add(receiver)
  return () => {
    if (receivers.delete(receiver) && receivers.size === 0) process.off('message', receive)
  }
}
