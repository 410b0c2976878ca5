import { runtime } from './runtime.js'

/**
 * Asks the supervisor to replace this worker: the replacement is up before we drain. Tells whether there was a supervisor
 * to ask.
 */
export function requestReplacement(reason = 'request'): boolean {
  const host = runtime()
  host.send({ type: 'replace', reason })
  return host.supervised
}

/** For an app without `serve()` under `waitForReady`: this worker may get connections. */
export function ready(): void {
  runtime().ready(true)
}
