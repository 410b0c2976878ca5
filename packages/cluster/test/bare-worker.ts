import type { Load } from '../src/ipc/messages.js'
import type { WorkerProcess } from '../src/spawn/worker-process.js'

/** A worker without a process: the fields at which the rules look. */
export function worker(fields: Partial<WorkerProcess>): WorkerProcess {
  const bare = { state: 'ready', heardAt: 0, startedAt: 0, overLimit: 0, spread: 0, slot: 1, id: 1 }
  return Object.assign(Object.create(null), bare, fields) as WorkerProcess
}

/** The load that a healthy, idle worker reports. */
export const LOAD: Load = {
  utilization: 0.1,
  lag: 1,
  cpu: 0.1,
  rss: 100,
  heapUsed: 50,
  requests: 0,
  active: 0,
  connections: 0,
}
