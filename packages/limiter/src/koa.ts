import type { Context, Middleware } from 'koa'
import { ConcurrencyGate, type LimitConcurrencyOptions } from './concurrency-gate.js'
import type { Decision } from './decision.js'
import { decisionOn, listed, RateLimitGate } from './gate.js'
import type { RateLimitOptions } from './gate-options.js'

export type KoaRateLimitOptions = RateLimitOptions<[ctx: Context]>
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
  return async (ctx, next) => {
    const checked = gate.check(ctx.req, ctx.res, ctx)
    const verdict = checked instanceof Promise ? await checked : checked
    const { headers, error } = verdict
    for (const name in headers)
      ctx.set(name, listed(name, headers[name]!, ctx.response.get(name) || undefined))
    if (error === undefined) return next()
    if (!gate.answersItself) throw error
    ctx.set(error.headers)
    ctx.status = error.status
    if (gate.handler !== undefined) return gate.handler(ctx)
    const { type, body } = await gate.replyTo(verdict, ctx)
    ctx.body = body
    if (type !== undefined) ctx.type = type
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
    await gate.enter(ctx.req, ctx.res, ctx)
    await next()
  }
}

/** The decision about a request, to settle its cost later. */
export function decisionOf(ctx: Context): Decision | undefined {
  return decisionOn(ctx.req)
}
