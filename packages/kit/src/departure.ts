import type { ServerResponse } from 'node:http'
import { brand } from './errors.js'

/** The client closed its connection before the answer: nginx logs the same status. */
const CLIENT_CLOSED_REQUEST = 499

/**
 * The reason of a signal that aborts since the client of its request has left; what waited rejects with it. An
 * `AbortError`, as the platform's own. It has no stack, and a status below 500 that may be exposed: Koa prints nothing
 * of such an error, and no framework takes it for a failure of the app.
 */
export class ClientGoneError extends Error {
  readonly code = 'ABORT_ERR'
  readonly status = CLIENT_CLOSED_REQUEST
  readonly statusCode = CLIENT_CLOSED_REQUEST
  readonly expose = true
  /** What nobody waits for. Not enumerable, as a log has no use for it. */
  declare readonly response: ServerResponse

  constructor(response: ServerResponse) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super('The client went away before it was answered')
    Error.stackTraceLimit = limit
    Object.defineProperty(this, 'response', { value: response })
  }
}
brand(ClientGoneError, 'AbortError')

/**
 * Whether an error says no more than that nobody is there to read the answer to it. The departure of another client, whose
 * work this one has shared, is an error like any other.
 */
export function isDeparture(error: unknown, res: ServerResponse): boolean {
  return error instanceof ClientGoneError && error.response === res
}
