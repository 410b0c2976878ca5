import type { ServerResponse } from 'node:http'
import { brand } from './errors.js'

/** nginx logs this status, too, when a client closes its connection before the response. */
const CLIENT_CLOSED_REQUEST = 499

/**
 * Abort reason of work whose client has closed the connection: an `AbortError`. It has no stack, and a status below 500 that
 * may be exposed, so that Koa prints nothing and no framework counts it as a failure of the app.
 */
export class ClientGoneError extends Error {
  readonly code = 'ABORT_ERR'
  readonly status = CLIENT_CLOSED_REQUEST
  readonly statusCode = CLIENT_CLOSED_REQUEST
  readonly expose = true
  /** The response without a reader. Not enumerable, so that loggers do not copy it. */
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
 * Whether an error says only that the client of this very response has gone, so that neither a response nor a log line is
 * needed. The departure of another client, whose work this request shared, is an error like any other.
 */
export function isDeparture(error: unknown, res: ServerResponse): boolean {
  return error instanceof ClientGoneError && error.response === res
}
