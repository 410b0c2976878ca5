import cluster from 'node:cluster'
import { isMainThread } from 'node:worker_threads'
import { adoptServers } from './serve/adopt.js'
import { handleCrashes } from './worker/crash.js'
import { startHeartbeat } from './worker/heartbeat.js'
import { runtime } from './worker/runtime.js'
import { startWatchdog } from './worker/watchdog-thread.js'
import { holdSignals } from './worker/worker-signals.js'

/**
 * Loaded before the app in every worker of a supervisor (`--require`): heartbeats, signals, crash policy, the way out when
 * the primary is gone. Threads and children of a worker load it too, by inheritance; it does nothing there.
 */
const host = runtime()
if (isMainThread && cluster.isWorker && host.settings !== undefined) {
  const { heartbeat, watchdog, adopt, drainTimeout } = host.settings
  host.attach()
  handleCrashes(host)
  holdSignals(host, { timeout: drainTimeout, delay: 0 })
  if (heartbeat !== false) startHeartbeat(host, heartbeat)
  if (watchdog) startWatchdog(host.settings)
  if (adopt) adoptServers(host)
}
