import type { ExitInfo, RestartCause } from '../events.js'
import type { WorkerProcess } from './worker-process.js'
import type { WorkerState } from './worker-state.js'

/** Why a worker ended without an order from the supervisor; `before` is the state it ended in. */
function causeOf(
  { killed, error }: WorkerProcess,
  before: WorkerState,
  code: number | null,
  signal: NodeJS.Signals | null,
): RestartCause {
  if (killed === 'hang') return 'hang'
  if (before === 'starting') return 'start'
  if (error !== undefined) return 'crash'
  // A signal from outside: the kernel for want of memory, or an operator.
  if (signal !== null) return 'killed'
  return code === 0 ? 'exit' : 'crash'
}

/** The `exit` event of a worker. Only a worker that ended without an order has a cause. */
export function exitInfo(
  worker: WorkerProcess,
  before: WorkerState,
  code: number | null,
  signal: NodeJS.Signals | null,
): ExitInfo {
  const unasked = worker.state === 'failed' || worker.leaving === 'crash'
  const cause = unasked ? causeOf(worker, before, code, signal) : undefined
  return { ...worker.info, code, signal, cause, error: worker.error, lost: worker.lost }
}
