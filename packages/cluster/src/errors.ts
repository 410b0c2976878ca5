import { brand, RejectedError, retryAfterSeconds } from '@spillway/kit'
import type { ExitInfo } from './events.js'
import type { RemoteError } from './ipc/messages.js'
import type { WorkerProcess } from './spawn/worker-process.js'

/** This process is going to stop and takes no more requests: 503, for `drainGate`. */
export class DrainingError extends RejectedError {
  /** `closes`: the client is told to close its connection, which HTTP/2 has no header for. */
  constructor(retryAfter: number, closes = true) {
    super('The server is restarting; please try again', {
      code: 'ERR_CLUSTER_DRAINING',
      status: 503,
      headers: {
        'Retry-After': retryAfterSeconds(retryAfter),
        ...(closes && { Connection: 'close' }),
      },
    })
  }
}
brand(DrainingError, 'DrainingError')

/** A worker did not become ready. `remote` is its own error, as far as it could tell. */
export class StartError extends Error {
  readonly code: 'ERR_CLUSTER_START' | 'ERR_CLUSTER_START_TIMEOUT' | 'ERR_CLUSTER_PORT'
  readonly remote: RemoteError | undefined

  constructor(message: string, code: StartError['code'], remote?: RemoteError) {
    super(message)
    this.code = code
    this.remote = remote
  }
}
brand(StartError, 'StartError')

/** What to say of a worker that ended before (or right after) it was ready. */
export function startError(
  worker: WorkerProcess,
  { code, signal }: Pick<ExitInfo, 'code' | 'signal'>,
): StartError {
  const { error } = worker
  if (error?.code === 'EADDRINUSE') return new StartError(error.message, 'ERR_CLUSTER_PORT', error)
  if (worker.killed === 'start') {
    return new StartError(
      `Worker ${worker.pid} was not ready in time: it neither listened nor called ready()`,
      'ERR_CLUSTER_START_TIMEOUT',
    )
  }
  const how =
    error === undefined
      ? `exited with ${signal ?? `code ${code}`}`
      : `failed: ${error.name}: ${error.message}`
  return new StartError(`Worker ${worker.pid} ${how}`, 'ERR_CLUSTER_START', error)
}

/** What to say of a worker that could not even be forked. */
export function forkError({ message, code, name, stack }: NodeJS.ErrnoException): StartError {
  return new StartError(`A worker could not be forked: ${message}`, 'ERR_CLUSTER_START', {
    name,
    message,
    code,
    stack,
  })
}

/** The supervisor has been closed, or is closing. */
export class SupervisorClosedError extends Error {
  readonly code = 'ERR_CLUSTER_CLOSED'

  constructor() {
    super('The supervisor is closed')
  }
}
brand(SupervisorClosedError, 'SupervisorClosedError')

/** The control socket cannot be used: nobody answers, somebody else does, or the command makes no sense. */
export class ControlError extends Error {
  readonly code = 'ERR_CLUSTER_CONTROL'
}
brand(ControlError, 'ControlError')
