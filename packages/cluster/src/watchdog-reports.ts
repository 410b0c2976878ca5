import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { WATCHDOG_FD } from './watchdog-fd.js'
import type { WorkerProcess } from './worker-process.js'

/** Listens to a worker's watchdog thread, which speaks JSON lines on a pipe of its own. */
export function watchReports(worker: WorkerProcess): void {
  const pipe = worker.handle.process.stdio[WATCHDOG_FD] as Socket | null | undefined
  if (pipe === null || pipe === undefined) return
  pipe.on('error', () => {})
  // The pipe alone keeps nobody alive.
  pipe.unref?.()
  createInterface({ input: pipe }).on('line', (line) => {
    const stack = stackIn(line)
    if (stack !== undefined) worker.hangStack = stack
  })
}

function stackIn(line: string): string | undefined {
  try {
    const report: unknown = JSON.parse(line)
    const { stack } = report as { stack?: unknown }
    return typeof stack === 'string' ? stack : undefined
  } catch {
    return undefined
  }
}
