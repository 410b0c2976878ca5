/** What the signals of the supervisor's process do. */
export interface SignalActions {
  readonly reload: () => void
  readonly stop: () => void
  readonly force: () => void
  readonly reopen?: () => void
}

/**
 * SIGTERM and SIGINT stop, the second one of either forces; SIGHUP and SIGUSR2 reload. Returns the uninstall.
 */
export function handleSignals({ reload, stop, force, reopen }: SignalActions): () => void {
  let stopping = false
  const end = () => {
    if (stopping) force()
    else {
      stopping = true
      stop()
    }
  }
  const handlers: [NodeJS.Signals, () => void][] = [
    ['SIGTERM', end],
    ['SIGINT', end],
    ['SIGHUP', reload],
    ['SIGUSR2', reload],
    ...(reopen === undefined ? [] : ([['SIGUSR1', reopen]] as [NodeJS.Signals, () => void][])),
  ]
  for (const [signal, handler] of handlers) process.on(signal, handler)
  return () => {
    for (const [signal, handler] of handlers) process.off(signal, handler)
  }
}
