import { Worker } from 'node:worker_threads'
import type { WorkerSettings } from './runtime.js'

/** What the main thread and its watchdog share: one counter that goes up as long as the event loop turns. */
export type HeartbeatMonitor = Int32Array<SharedArrayBuffer>

/** What the main thread gives its watchdog thread. */
export interface WatchdogData {
  readonly pulse: HeartbeatMonitor
  readonly supervisor: number
  /** Milliseconds between two looks. */
  readonly period: number
  /** Milliseconds of standstill after which it finds out where. */
  readonly suspectAfter: number
  /** Milliseconds that a main thread that hangs may outlive its supervisor. */
  readonly orphanAfter: number
}

const PERIOD = 500
const ORPHAN = 4_000

/** Starts the thread that notices what a blocked main thread cannot: the hang itself, and the death of the supervisor. */
export function startWatchdog({ deadline }: Pick<WorkerSettings, 'deadline'>): void {
  const pulse: HeartbeatMonitor = new Int32Array(new SharedArrayBuffer(4))
  const period = deadline === false ? PERIOD : Math.max(20, Math.min(PERIOD, deadline / 8))
  setInterval(() => Atomics.add(pulse, 0, 1), period / 2).unref()
  const workerData: WatchdogData = {
    pulse,
    supervisor: process.ppid,
    period,
    suspectAfter: deadline === false ? Number.POSITIVE_INFINITY : deadline / 2,
    orphanAfter: ORPHAN,
  }
  try {
    const thread = new Worker(new URL('./watchdog.cjs', import.meta.url), {
      workerData,
      // No preloads and loaders of the app, and next to no memory.
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    })
    thread.unref()
    thread.on('error', () => {})
  } catch {
    // The machine has no thread to give. A worker without a watchdog is still a worker.
  }
}
