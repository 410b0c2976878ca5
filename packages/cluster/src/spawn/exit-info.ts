import type { ExitInfo, RestartCause } from '../events.js'
import type { WorkerProcess } from './worker-process.js'
import type { WorkerState } from './worker-state.js'

/** Why a worker ended that nobody had told to; `before` is the state it ended in. */
function causeOf(
  { killed, error }: WorkerProcess,
  before: WorkerState,
  code: number | null,
  signal: NodeJS.Signals | null,
): RestartCause {
  if (killed === 'hang') return 'hang'
  if (before === 'starting') return 'start'
  if (error !== undefined) return 'crash'
  // Not by us: the kernel for want of memory, or somebody at a terminal.
  if (signal !== null) return 'killed'
  return code === 0 ? 'exit' : 'crash'
}

/** What there is to say of a worker that has ended. A cause is for those who were not told to. */
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
