import { inspect } from 'node:util'
import { remoteError } from '../ipc/messages.js'
import type { Runtime } from './runtime.js'
import { writeError } from './stderr.js'

const INSTALLED = Symbol.for('spillway.cluster.crash')

/**
 * After an uncaught exception (an unhandled rejection becomes one, unless the app handles those itself) nobody knows what
 * state the process is in. It is logged once, the supervisor is told, and the process takes no more connections, finishes
 * those it has, and exits with 1. What fails meanwhile is not logged again. Returns the uninstall.
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
