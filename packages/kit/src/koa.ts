import type { ServerResponse } from 'node:http'
import { isDeparture } from './departure.js'
import { RejectedError } from './errors.js'
import type { Verdict } from './verdict.js'

/** The common part of the Koa adapters. Its types are structural, so that nothing here loads Koa. */

interface Context {
  readonly res: ServerResponse
  set(name: string, value: string): unknown
}

/** Sets the verdict's headers and throws the refusal if there is one. */
export function applyVerdict({ headers, error }: Verdict, ctx: Context): void {
  setHeaders(ctx, headers)
  if (error !== undefined) refuse(error, ctx)
}

/**
 * Throws the error. The headers of a refusal are set on the response too, for an error handler of the app that answers by
 * itself; Koa's own takes them from the error and removes all others. Returns when the client has gone: there is no reader
 * of a response, and no news for a log.
 */
export function refuse(error: unknown, ctx: Context): void {
  if (isDeparture(error, ctx.res)) return
  if (error instanceof RejectedError) setHeaders(ctx, error.headers)
  throw error
}

function setHeaders(ctx: Context, headers: Readonly<Record<string, string>>): void {
  for (const name in headers) ctx.set(name, headers[name]!)
}
