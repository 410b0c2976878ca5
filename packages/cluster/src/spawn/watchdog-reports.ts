import type { Socket } from 'node:net'
import { excerpt, INVALID, objectOf } from '@spillway/kit/message'
import { readLines } from '../ipc/json-lines.js'
import { LONGEST_STACK } from '../ipc/messages.js'
import { WATCHDOG_FD } from '../ipc/watchdog-fd.js'
import type { WorkerProcess } from './worker-process.js'

/** UTF-16 code units: a stack of many long paths. */
const LONGEST_REPORT = 1024 * 1024

const report = objectOf({ stack: excerpt(LONGEST_STACK) })

/** Listens to a worker's watchdog thread, which speaks JSON lines on a pipe of its own. */
export function readWatchdogReports(worker: WorkerProcess): void {
  const pipe = worker.handle.process.stdio[WATCHDOG_FD] as Socket | null | undefined
  if (pipe === null || pipe === undefined) return
  pipe.on('error', () => {})
  // The pipe alone does not keep the primary alive.
  pipe.unref?.()
  readLines(
    pipe,
    (line) => {
      worker.hangStack = stackIn(line) ?? worker.hangStack
    },
    LONGEST_REPORT,
  )
}

function stackIn(line: string): string | undefined {
  try {
    const checked = report(JSON.parse(line))
    return checked === INVALID ? undefined : checked.stack
  } catch {
    return undefined
  }
}
