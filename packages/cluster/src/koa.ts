import { applyVerdict } from '@spillway/kit/koa'
import type { Middleware } from 'koa'
import { type DrainGateOptions, drainVerdict } from './worker/drain-gate.js'
import { HEALTH_HEADERS, Health, type HealthOptions } from './worker/health.js'

/**
 * Liveness on `/healthz` and readiness on `/readyz`: `app.use(health())`, before everything else. Readiness is 503
 * until the process is ready and once the whole service stops. Koa 2 and 3.
 *
 * @throws TypeError | RangeError `ERR_CLUSTER_OPTION`
 */
export function health(options?: HealthOptions): Middleware {
  const routes = new Health(options)
  return async (ctx, next) => {
    const answer = ctx.method === 'GET' || ctx.method === 'HEAD' ? routes.at(ctx.path) : undefined
    if (answer === undefined) return next()
    const { status, body } = await answer
    ctx.status = status
    ctx.set(HEALTH_HEADERS)
    ctx.body = body
  }
}

/**
 * Turns requests away that come when this process should have stopped: `app.use(drainGate())`. Throws a
 * {@link DrainingError} (503, `Retry-After`) for the app's error handling.
 *
 * @throws TypeError | RangeError `ERR_CLUSTER_OPTION`
 */
export function drainGate(options?: DrainGateOptions): Middleware {
  const verdict = drainVerdict(options)
  return (ctx, next) => {
    applyVerdict(verdict(ctx.req), ctx)
    return next()
  }
}

export { DrainingError } from './errors.js'
export type { DrainGateOptions } from './worker/drain-gate.js'
export type { HealthCheck, HealthOptions } from './worker/health.js'
