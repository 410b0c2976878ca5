import { onResponseEnd } from '@spillway/kit'
import type { Request, RequestHandler } from 'express'
import { MetricsEndpoint, type MetricsRouteOptions } from './endpoint.js'
import type { Metrics } from './metrics.js'
import { CLIENT_CLOSED_REQUEST, UNMATCHED } from './requests.js'

declare global {
  namespace Express {
    interface Request {
      /** For metrics of your own: `req.metrics.registry`. */
      metrics?: Metrics
    }
  }
}

export type ExpressMetricsOptions = MetricsRouteOptions<Request>

/**
 * Records every request that passes through it, and answers `/metrics` and the dashboard. Put it first.
 *
 * ```ts
 * app.use(metrics(new Metrics(), { dashboard: '/dashboard' }))
 * ```
 *
 * @throws TypeError | RangeError `ERR_METRICS_OPTION`
 */
export function metrics(collector: Metrics, options: ExpressMetricsOptions = {}): RequestHandler {
  const endpoint = new MetricsEndpoint(collector, options)
  const { route: nameOf, skip } = options
  return (req, res, next) => {
    req.metrics = collector
    if (skip?.(req) !== true) {
      const own = endpoint.owns(req.method, req.path) ? req.baseUrl + req.path : UNMATCHED
      const matched = matchedRoute(req)
      const end = collector.requests.begin()
      onResponseEnd(res, (finished) => {
        const status = finished ? res.statusCode : CLIENT_CLOSED_REQUEST
        end({ method: req.method, route: nameOf?.(req) ?? matched() ?? own, status })
      })
    }
    if (!endpoint.owns(req.method, req.path)) return next()
    endpoint
      .answer(req.path, req)
      .then(({ headers, body }) => res.set(headers).end(req.method === 'HEAD' ? undefined : body))
      .catch(next)
  }
}

/**
 * The pattern of the last route that was matched, with its mount point. It is noted when the router sets `req.route`:
 * later, in an error handler of the app, `req.baseUrl` has been put back and the mount point is lost.
 */
function matchedRoute(req: Request): () => string | undefined {
  let route: { path?: unknown } | undefined = req.route
  let pattern: string | undefined
  Object.defineProperty(req, 'route', {
    configurable: true,
    enumerable: true,
    get: () => route,
    set(value: typeof route) {
      route = value
      if (value?.path !== undefined) pattern = req.baseUrl + String(value.path)
    },
  })
  return () => pattern
}
