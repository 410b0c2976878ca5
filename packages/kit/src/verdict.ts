import type { RejectedError } from './errors.js'

/**
 * The answer to "may I go?": headers to set in any case, and the refusal if there is one. The same value serves
 * Express, Fastify and Koa; only how it is applied differs.
 */
export interface Verdict {
  readonly headers: Readonly<Record<string, string>>
  readonly error?: RejectedError | undefined
}

/** A verdict that admits and says nothing. */
export const ADMIT: Verdict = Object.freeze({ headers: Object.freeze({}) })

/**
 * `Retry-After` in whole seconds (RFC 9110 section 10.2.3, delay-seconds): rounded up and at least 1, so that
 * waiting exactly that long is enough.
 */
export function retryAfterSeconds(milliseconds: number): string {
  return String(Math.min(Math.max(1, Math.ceil(milliseconds / 1000) || 1), Number.MAX_SAFE_INTEGER))
}
