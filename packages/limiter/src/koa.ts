import { STATUS_CODES } from 'node:http'
import { misuse } from '@spillway/kit'
import { applyVerdict, refuse } from '@spillway/kit/koa'
import type { Context, Middleware, Next } from 'koa'
import type { Decision } from './bucket/decision.js'
import { clientAddress as addressOf, type ClientAddressOptions } from './http/client-address.js'
import { ConcurrencyGate, type LimitConcurrencyOptions } from './http/concurrency-gate.js'
import { decisionOn, type GateVerdict, joined, RateLimitGate } from './http/gate.js'
import type { RateLimitOptions } from './http/rate-limit-options.js'

/** Options of `rateLimit` on Koa. */
export type KoaRateLimitOptions = RateLimitOptions<[ctx: Context]>
/** Options of `limitConcurrency` on Koa. */
export type KoaLimitConcurrencyOptions = LimitConcurrencyOptions<[ctx: Context]>

/**
 * Limits the requests that pass through it. A refusal is thrown, with its status and headers.
 *
 * ```ts
 * app.use(rateLimit({ limit: 100, window: '15m' }))
 * ```
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function rateLimit(options: KoaRateLimitOptions): Middleware {
  const gate = new RateLimitGate(options)
  if (!gate.answersItself) refuseUnknownStatus(gate.statusCode)
  return (ctx, next) => {
    const verdict = gate.check(ctx.req, ctx.res, ctx)
    return verdict instanceof Promise
      ? verdict.then((late) => apply(gate, late, ctx, next))
      : apply(gate, verdict, ctx, next)
  }
}

/**
 * Limits how many requests are in flight at once. What does not fit is thrown as a 503.
 *
 * @throws TypeError | RangeError `ERR_LIMITER_OPTION`
 */
export function limitConcurrency(options: KoaLimitConcurrencyOptions): Middleware {
  const gate = new ConcurrencyGate(options)
  return async (ctx, next) => {
    try {
      await gate.enter(ctx.req, ctx.res, ctx)
    } catch (error) {
      refuse(error, ctx)
      return
    }
    await next()
  }
}

export type { ClientAddressOptions } from './http/client-address.js'

/** The address of a client as `rateLimit` takes it for the key, for a `key` of your own. */
export function clientAddress(ctx: Context, options?: ClientAddressOptions): string | undefined {
  return addressOf(ctx.req, options)
}

/** The decision about a request, to settle its cost later. */
export function decisionOf(ctx: Context): Decision | undefined {
  return decisionOn(ctx.req)
}

/** Koa's error handler answers with 500 when it does not know the status of an error. */
function refuseUnknownStatus(status: number): void {
  if (STATUS_CODES[status] !== undefined) return
  throw misuse(
    RangeError,
    'ERR_LIMITER_OPTION',
    `rateLimit option "statusCode" must be a status that Koa knows, such as 429 or 503, not ${status}: Koa would answer with 500. With "message", "problem" or "handler" any status is fine`,
  )
}

function apply(gate: RateLimitGate<[Context]>, given: GateVerdict, ctx: Context, next: Next): unknown {
  const verdict = given.again ? joined(given, (name) => ctx.response.get(name) || undefined) : given
  const { error } = verdict
  if (error === undefined || !gate.answersItself) {
    applyVerdict(verdict, ctx)
    return next()
  }
  ctx.set(error.headers)
  ctx.status = error.status
  return gate.handler === undefined ? answer(gate, verdict, ctx) : gate.handler(ctx)
}

async function answer(gate: RateLimitGate<[Context]>, verdict: GateVerdict, ctx: Context): Promise<void> {
  const { type, body } = await gate.replyTo(verdict, ctx)
  if (body !== undefined) ctx.body = body
  if (type !== undefined) ctx.type = type
}
