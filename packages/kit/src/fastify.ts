import type { ServerResponse } from 'node:http'
import { isDeparture } from './departure.js'
import { RejectedError } from './errors.js'
import type { Verdict } from './verdict.js'

/**
 * What the Fastify adapters share. Only documented plugin metadata (Fastify's Plugins reference: skip-override,
 * display name, plugin meta), so that nothing here loads Fastify.
 */

const META = Symbol.for('plugin-meta')

/**
 * Marks a plugin function as one that speaks to the scope it is registered in (its hooks and decorators are visible
 * there and below), with a name for error messages and the Fastify range it supports.
 */
// biome-ignore lint/suspicious/noExplicitAny: any plugin shape, callback or async
export function plugin<P extends (...args: any[]) => unknown>(name: string, register: P): P {
  return Object.assign(register, {
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: name,
    [META]: { name, fastify: '5.x' },
  })
}

interface Reply {
  readonly raw: ServerResponse
  header(name: string, value: string): unknown
  hijack(): unknown
}

type Done = (error?: Error) => void

/** Sets the verdict's headers and goes on, or refuses. */
export function applyVerdict({ headers, error }: Verdict, reply: Reply, done: Done): void {
  setHeaders(reply, headers)
  if (error === undefined) done()
  else refuse(error, reply, done)
}

/**
 * Hands an error on. The headers of a refusal are set on the reply, for error handlers that know nothing of them.
 * Nobody is there to read an answer, or a log line, about a client that left.
 */
export function refuse(error: unknown, reply: Reply, done: Done): void {
  if (isDeparture(error, reply.raw)) {
    reply.hijack()
    return
  }
  if (error instanceof RejectedError) setHeaders(reply, error.headers)
  done(error as Error)
}

/** The headers of a verdict or of a refusal, without building an intermediate object. */
export function setHeaders(reply: Pick<Reply, 'header'>, headers: Readonly<Record<string, string>>): void {
  for (const name in headers) reply.header(name, headers[name]!)
}

interface Log {
  info(...args: unknown[]): void
  error(...args: unknown[]): void
}

/**
 * Keeps one error out of the log of a request: Fastify's error handler logs whatever reaches it, and the error that says
 * that the client has left is no news about the app.
 */
export function muteError(reply: { log: object }, error: unknown): void {
  const log = reply.log as Log
  const muted = (level: keyof Log) => ({
    value: (...args: unknown[]) => {
      if ((args[0] as { err?: unknown } | undefined)?.err !== error) log[level](...args)
    },
  })
  reply.log = Object.create(log, { info: muted('info'), error: muted('error') })
}
