import { onResponseEnd } from '@spillway/kit'
import type { Context, Middleware } from 'koa'
import { MetricsEndpoint, type MetricsRouteOptions } from './http/endpoint.js'
import { routeName } from './http/route-name.js'
import type { Metrics } from './metrics.js'
import { CLIENT_CLOSED_REQUEST, UNMATCHED } from './recording/request-recorder.js'

export type KoaMetricsOptions = MetricsRouteOptions<Context>

/**
 * Records every request that passes through it, and answers `/metrics` and the dashboard. Put it first. The route of a
 * request is what `@koa/router` matched; with another router, say it with `route`.
 *
 * ```ts
 * app.use(metrics(new Metrics(), { dashboard: '/dashboard' }))
 * ```
 *
 * @throws TypeError | RangeError `ERR_METRICS_OPTION`
 */
export function metrics(collector: Metrics, options: KoaMetricsOptions = {}): Middleware {
  const endpoint = new MetricsEndpoint(collector, options)
  const { route: nameOf = matchedRoute, skip } = options
  return async (ctx, next) => {
    ctx.state.metrics = collector
    const owned = endpoint.owns(ctx.method, ctx.path)
    if (skip?.(ctx) !== true) {
      const { path, method } = ctx
      const end = collector.requests.begin()
      onResponseEnd(ctx.res, (finished) => {
        const status = finished ? ctx.res.statusCode : CLIENT_CLOSED_REQUEST
        end({ method, route: owned ? path : (routeName(nameOf, ctx) ?? UNMATCHED), status })
      })
    }
    if (!owned) return next()
    const { headers, body } = await endpoint.answer(ctx.path, ctx, ctx.req)
    ctx.set(headers)
    ctx.body = body
  }
}

/** Where `@koa/router` leaves the pattern it matched. */
function matchedRoute(ctx: Context): string | undefined {
  const { _matchedRoute: pattern } = ctx as { _matchedRoute?: unknown }
  return pattern === undefined ? undefined : String(pattern)
}
