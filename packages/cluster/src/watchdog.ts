import { writeSync } from 'node:fs'
import { Session } from 'node:inspector'
import { workerData } from 'node:worker_threads'
import { WATCHDOG_FD } from './ipc/watchdog-fd.js'
import type { WatchdogData } from './worker/watchdog-thread.js'

/**
 * The watchdog thread of a worker.
 *
 * - The main thread stands still: asks the inspector (from within, no port is opened) where, and tells the supervisor on a
 *   pipe that does not need the main thread.
 * - The supervisor is gone and the main thread stands still: ends the process. A main thread that turns drains by itself.
 */
const { pulse, supervisor, period, suspectAfter, orphanAfter } = workerData as WatchdogData

let last = Atomics.load(pulse, 0)
let still = 0
let orphaned = 0
let asked = false
let lookedAt = performance.now()

setInterval(look, period)

function look(): void {
  const now = performance.now()
  const passed = now - lookedAt
  lookedAt = now
  const beats = Atomics.load(pulse, 0)
  // When we ourselves were stopped, so was the main thread: that is no standstill.
  const slept = passed > 3 * period
  still = beats === last && !slept ? still + passed : 0
  last = beats
  if (still === 0) asked = false
  if (still >= suspectAfter && !asked) {
    asked = true
    report()
  }
  orphaned = process.ppid === supervisor || slept ? 0 : orphaned + passed
  if (orphaned >= orphanAfter && still >= orphanAfter / 2) process.kill(process.pid, 'SIGKILL')
}

/** Where the main thread stands, as a stack in V8's form. */
function report(): void {
  const session = new Session()
  session.connectToMainThread()
  const files = new Map<string, string>()
  session.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url))
  session.post('Debugger.enable')
  session.once('Debugger.paused', ({ params }) => {
    const stack = params.callFrames
      .map(({ functionName, location }) => {
        const place = `${files.get(location.scriptId) ?? ''}:${location.lineNumber + 1}:${(location.columnNumber ?? 0) + 1}`
        return `    at ${functionName === '' ? '<anonymous>' : functionName} (${place})`
      })
      .join('\n')
    session.post('Debugger.resume')
    session.post('Debugger.disable')
    session.disconnect()
    tell({ stack })
  })
  session.post('Debugger.pause')
}

function tell(report: { stack: string }): void {
  try {
    writeSync(WATCHDOG_FD, `${JSON.stringify(report)}\n`)
  } catch {
    // The supervisor is gone, or its pipe is full: the stack is lost, the worker is not.
  }
}
