import type { ServerResponse } from 'node:http'
import { isDeparture } from './departure.js'
import { RejectedError } from './errors.js'
import type { Verdict } from './verdict.js'

/**
 * The common part of the Fastify adapters: documented plugin metadata only (Fastify's Plugins reference: skip-override,
 * display name, plugin meta), so that nothing here loads Fastify.
 */

const META = Symbol.for('plugin-meta')

/**
 * Marks a plugin whose hooks and decorators apply to the scope that registers it, and below, with a name for error messages and
 * the range of Fastify versions that it supports.
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
 * Passes an error on. The headers of a refusal are set on the reply, for error handlers that do not read them from the error.
 * The departure of the client needs neither a response nor a log line.
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
 * Keeps one error out of the log of a request: Fastify's error handler logs every error, and the departure of a client is no
 * fault of the app.
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
