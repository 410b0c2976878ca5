import { brand, RejectedError, retryAfterSeconds } from '@spillway/kit'

export { RejectedError } from '@spillway/kit'

/** Why a call was not taken: the queue is full, the wait would be or was too long, the task kills threads, or we are closed. */
export type RefusalCode =
  | 'ERR_OFFLOAD_QUEUE_FULL'
  | 'ERR_OFFLOAD_WAIT'
  | 'ERR_OFFLOAD_QUEUE_TIMEOUT'
  | 'ERR_OFFLOAD_POISON'
  | 'ERR_OFFLOAD_CLOSED'

/** The task was refused and has not run: 503 with `Retry-After`. Why is in `details.reason`, for the log. */
export class OverloadedError extends RejectedError {
  readonly task: string
  /** Milliseconds after which a new attempt makes sense, from the measured service rate. */
  readonly retryAfter: number

  constructor(code: RefusalCode, task: string, retryAfter: number, reason: string) {
    super('The service is busy; please try again shortly', {
      code,
      status: 503,
      headers: { 'Retry-After': retryAfterSeconds(retryAfter) },
      details: { reason },
    })
    this.task = task
    this.retryAfter = retryAfter
  }
}
brand(OverloadedError, 'OverloadedError')

/** The task ran out of time and was stopped: 504. */
export class TaskTimeoutError extends RejectedError {
  readonly task: string
  /** Milliseconds it was given. */
  readonly timeout: number

  constructor(
    code: 'ERR_OFFLOAD_TIMEOUT' | 'ERR_OFFLOAD_DEADLINE',
    task: string,
    timeout: number,
    reason: string,
  ) {
    super('The work took too long and was stopped', { code, status: 504, details: { reason } })
    this.task = task
    this.timeout = timeout
  }
}
brand(TaskTimeoutError, 'TaskTimeoutError')

/** How a thread was lost under a task. */
export type CrashCode =
  | 'ERR_OFFLOAD_EXIT'
  | 'ERR_OFFLOAD_MEMORY'
  | 'ERR_OFFLOAD_CRASH'
  | 'ERR_OFFLOAD_COLLATERAL'
  | 'ERR_OFFLOAD_BOOT'
  | 'ERR_OFFLOAD_LOAD'
  | 'ERR_OFFLOAD_TERMINATED'

/**
 * The thread of the task ended (`process.exit`, out of memory, an uncaught error or unhandled rejection), could not
 * start, could not load the task's module, or was ended because the offloader closed. `cause` is the error of the thread where there is one.
 */
export class ThreadError extends Error {
  readonly code: CrashCode
  readonly task: string
  readonly exitCode: number | undefined

  constructor(
    code: CrashCode,
    task: string,
    message: string,
    detail: { cause?: unknown; exitCode?: number } = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause })
    this.code = code
    this.task = task
    this.exitCode = detail.exitCode
  }
}
brand(ThreadError, 'ThreadError')

/** A value that cannot cross between threads. `path` says which: `input.options.onDone`. */
export class NotCloneableError extends TypeError {
  readonly code = 'ERR_OFFLOAD_CLONE'
  readonly side: 'input' | 'result' | 'progress'
  readonly path: string

  constructor(side: 'input' | 'result' | 'progress', path: string, reason: string) {
    super(`The ${side} of a task must be cloneable; ${path} is not: ${reason}`)
    this.side = side
    this.path = path
  }
}
brand(NotCloneableError, 'NotCloneableError')

/** The task threw something that is not an Error (`throw null`, `throw 'text'`). */
export class ThrownValueError extends Error {
  readonly code = 'ERR_OFFLOAD_THROWN'
  readonly value: unknown

  constructor(task: string, value: unknown) {
    super(`Task ${task} threw ${String(value)}, which is not an Error`)
    this.value = value
  }
}
brand(ThrownValueError, 'ThrownValueError')
