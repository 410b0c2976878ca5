import type { Runtime } from './runtime.js'

const INSTALLED = Symbol.for('spillway.cluster.signals')

/** Both of a group's processes get the signal; the supervisor's word comes first. Milliseconds. */
const AFTER_YOU = 200

/**
 * Alone, SIGTERM and SIGINT drain and end the process, and a second one ends it at once. Under a supervisor a SIGINT
 * (Ctrl-C reaches the whole group) is the supervisor's business, and a SIGTERM asks it for a replacement. Returns the
 * uninstall.
 */
export function handleWorkerSignals(host: Runtime, drain: { timeout: number; delay: number }): () => void {
  const holder = globalThis as { [INSTALLED]?: boolean }
  if (holder[INSTALLED]) return () => {}
  holder[INSTALLED] = true
  let signals = 0
  const end = (signal: NodeJS.Signals) => {
    signals++
    if (host.supervised) {
      if (signal === 'SIGTERM' && signals === 1) {
        setTimeout(() => host.send({ type: 'replace', reason: signal }), AFTER_YOU).unref()
      }
      return
    }
    if (signals > 1) process.exit(EXIT_CODES[signal])
    void host.exit({ reason: 'stop', ...drain }, 0)
  }
  process.on('SIGTERM', end)
  process.on('SIGINT', end)
  return () => {
    process.off('SIGTERM', end)
    process.off('SIGINT', end)
    holder[INSTALLED] = false
  }
}

/** 128 and the number of the signal, as shells say it. */
const EXIT_CODES: Partial<Record<NodeJS.Signals, number>> = { SIGINT: 130, SIGTERM: 143 }
