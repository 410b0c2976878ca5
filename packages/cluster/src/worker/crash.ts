import { inspect } from 'node:util'
import { remoteError } from '../ipc/messages.js'
import type { Runtime } from './runtime.js'
import { writeError } from './stderr.js'

const INSTALLED = Symbol.for('spillway.cluster.crash')

/**
 * After an uncaught exception the state of the process is unknown. (An unhandled rejection becomes an uncaught exception,
 * unless the app handles rejections itself.) The error is logged once, the supervisor is told, and the process takes no more
 * connections, finishes the open ones, and exits with 1. Later errors are not logged. Returns the uninstall.
 */
export function handleCrashes(host: Runtime): () => void {
  const holder = globalThis as { [INSTALLED]?: boolean }
  if (holder[INSTALLED]) return () => {}
  holder[INSTALLED] = true
  let crashed = false
  const onCrash = (error: unknown) => {
    if (crashed) return
    crashed = true
    writeError(`${error instanceof Error ? inspect(error) : `Uncaught ${inspect(error)}`}\n`)
    const starting = host.life.phase === 'starting'
    host.send({ type: 'failed', error: remoteError(error) })
    const timeout = starting ? 0 : (host.settings?.drainTimeout ?? DEFAULT_DRAIN)
    void host.exit({ reason: 'replace', delay: 0, timeout }, 1)
  }
  process.on('uncaughtException', onCrash)
  return () => {
    process.off('uncaughtException', onCrash)
    holder[INSTALLED] = false
  }
}

/** As long as a supervised worker's. Milliseconds. */
const DEFAULT_DRAIN = 30_000
