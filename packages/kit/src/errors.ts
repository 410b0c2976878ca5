import { inspect } from 'node:util'

/**
 * The errors every Spillway package throws.
 *
 * Three kinds, never mixed: a *refusal* ({@link RejectedError}: we chose not to do it), a *misuse*
 * (`TypeError` or `RangeError` with a `code`: your configuration or your arguments), and the *cause*, an
 * error of the engine below, which is passed through untouched.
 */

/**
 * Details of a refusal for the developer: a client's key, a statement, the state of a queue. `reason`, if present, is one line
 * that a log may hold: no key, no token, no statement.
 */
export interface Details {
  readonly reason?: string | undefined
  readonly [name: string]: unknown
}

export interface RejectedErrorInit {
  /** Stable name of the reason, `ERR_<PACKAGE>_<REASON>`. */
  readonly code: string
  /** HTTP status that an app should answer with. */
  readonly status: number
  /** Response headers that belong to the refusal, such as `Retry-After`. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Whether `message` may be shown to the client. Default: true. Fastify shows it in any case. */
  readonly expose?: boolean | undefined
  /** Never sent to the client, never logged. Default: none. */
  readonly details?: Details | undefined
  readonly cause?: unknown
}

const NO_DETAILS: Details = Object.freeze({})

/**
 * A request or call that was refused on purpose: over a limit, overloaded, queue full, draining.
 *
 * Express's final handler, Fastify's error handler and Koa's `onerror` all understand `status`,
 * `statusCode`, `expose` and `headers`. Koa drops every header that is not on the error, which is why a
 * refusal carries its own. It has no stack: a refusal is routine, and a service under attack makes
 * thousands a second.
 *
 * However it is printed, a log gets one line. What only a developer may see is in {@link details}, which no serializer reads,
 * and in {@link report}.
 */
export class RejectedError extends Error {
  readonly code: string
  readonly status: number
  readonly statusCode: number
  readonly expose: boolean
  readonly headers: Readonly<Record<string, string>>
  /** Not enumerable, since loggers copy enumerable properties. */
  declare readonly details: Details

  constructor(message: string, init: RejectedErrorInit) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    Error.stackTraceLimit = limit
    this.code = init.code
    this.status = init.status
    this.statusCode = init.status
    this.expose = init.expose ?? true
    this.headers = init.headers ?? {}
    if (init.details !== undefined) Object.defineProperty(this, 'details', { value: init.details })
  }

  /** All details in several lines, for a developer's terminal; not for a log that others read. */
  report(): string {
    const { details, cause } = this
    const lines = [lineOf(this)]
    if (details !== NO_DETAILS) lines.push(inspect(details, { depth: 6 }))
    if (cause !== undefined) lines.push(`Cause: ${inspect(cause)}`)
    return lines.join('\n')
  }

  toJSON(): object {
    const { name, code, status, statusCode, expose, message, headers } = this
    return { name, code, status, statusCode, expose, message, headers }
  }

  [inspect.custom](): string {
    return lineOf(this)
  }
}

Object.defineProperty(RejectedError.prototype, 'details', { value: NO_DETAILS })

function lineOf({ name, code, message, details: { reason } }: RejectedError): string {
  return `${name} [${code}]: ${message}${reason === undefined ? '' : ` (${reason})`}`
}

/**
 * Lets `instanceof` recognise an error class across copies of a package (its ESM and its CJS build, two
 * installed versions), by a mark on the prototype that is looked up through `Symbol.for`.
 *
 * Call it once, right after the class.
 */
export function brand(errorClass: { readonly prototype: Error }, name: string): void {
  const mark = Symbol.for(`spillway.${name}`)
  Object.defineProperty(errorClass.prototype, mark, { value: true })
  Object.defineProperty(errorClass.prototype, 'name', { value: name, configurable: true, writable: true })
  Object.defineProperty(errorClass, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      if (typeof value !== 'object' || value === null) return false
      // A subclass that was not branded inherits this method and must not claim its siblings.
      if (this !== errorClass) return Function.prototype[Symbol.hasInstance].call(this, value)
      return (value as Record<symbol, unknown>)[mark] === true
    },
  })
}

brand(RejectedError, 'RejectedError')

/** An error with a stable `code`, for misuse: `misuse(RangeError, 'ERR_LIMITER_COST', '...')`. */
export function misuse<E extends Error>(
  errorClass: new (message: string) => E,
  code: string,
  message: string,
): E & { readonly code: string } {
  const error = Object.assign(new errorClass(message), { code })
  Error.captureStackTrace(error, misuse)
  return error
}
