import type { Context, Middleware } from 'koa'
import { listed, RateLimitGate, type RateLimitOptions } from './gate.js'

export type KoaRateLimitOptions = RateLimitOptions<[ctx: Context]>

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
    const { headers, decision, error } = checked instanceof Promise ? await checked : checked
    for (const name in headers)
      ctx.set(name, listed(name, headers[name]!, ctx.response.get(name) || undefined))
    if (error === undefined || decision === undefined) return next()
    const reply = gate.replyTo(decision, error.status)
    if (gate.handler === undefined && reply === undefined) throw error
    ctx.set(error.headers)
    ctx.status = error.status
    if (gate.handler !== undefined) return gate.handler(ctx)
    ctx.body = reply?.body
    if (reply?.type !== undefined) ctx.type = reply.type
  }
}
