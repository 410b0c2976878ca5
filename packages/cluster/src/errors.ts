import { brand, RejectedError, retryAfterSeconds } from '@spillway/kit'

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

/** An error that has crossed a process boundary. Its texts are cut to a length that a log can bear. */
export interface RemoteError {
  readonly name: string
  readonly message: string
  readonly code?: string | undefined
  readonly stack?: string | undefined
}

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

/** What an error message needs to know of a worker that did not start. */
export interface FailedWorker {
  readonly pid: number
  /** Its own last error. */
  readonly error: RemoteError | undefined
  /** Why the supervisor killed it. */
  readonly killed: string | undefined
}

/** The error for a worker that ended before it was ready, or right after. */
export function startError(
  worker: FailedWorker,
  { code, signal }: { readonly code: number | null; readonly signal: NodeJS.Signals | null },
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

/** The error for a worker that could not even be forked. */
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

/** The control socket cannot be used: no supervisor answers, another one already does, or the command is invalid. */
export class ControlError extends Error {
  readonly code = 'ERR_CLUSTER_CONTROL'
}
brand(ControlError, 'ControlError')
