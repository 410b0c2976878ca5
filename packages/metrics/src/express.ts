import { onResponseEnd } from '@spillway/kit'
import { refuse } from '@spillway/kit/express'
import type { Request, RequestHandler } from 'express'
import { MetricsEndpoint, type MetricsRouteOptions } from './http/endpoint.js'
import { Mounts } from './http/express-mounts.js'
import { routeName } from './http/route-name.js'
import type { Metrics } from './metrics.js'
import { CLIENT_CLOSED_REQUEST, UNMATCHED } from './recording/request-recorder.js'

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
    const owned = endpoint.owns(req.method, req.path)
    if (skip?.(req) !== true) {
      const own = owned ? req.path : UNMATCHED
      noteRoutes((req.app as object as { readonly request: object }).request)
      const end = collector.requests.begin()
      onResponseEnd(res, (finished) => {
        const status = finished ? res.statusCode : CLIENT_CLOSED_REQUEST
        const route = routeName(nameOf, req) ?? (req as Routed)[PATTERN] ?? own
        end({ method: req.method, route, status })
      })
    }
    if (!owned) return next()
    endpoint
      .answer(req.path, req, req)
      .then(({ headers, body }) => res.set(headers).end(req.method === 'HEAD' ? undefined : body))
      .catch((error) => refuse(error, res, next))
  }
}

const PATTERN = Symbol('route pattern')
const ROUTE = Symbol('route')

interface Routed {
  readonly app: object
  baseUrl?: string
  [ROUTE]?: unknown
  [PATTERN]?: string
}

const noting = new WeakSet<object>()

/**
 * Notes the pattern of each matched route, with its mount point, when the router sets `req.route`: later, in an error
 * handler of the app, `req.baseUrl` has been put back and the mount point is lost. The accessor is on the app's request
 * prototype, which Express has for such things; one of its own on every request would make each of them slow.
 */
function noteRoutes(prototype: object): void {
  if (noting.has(prototype)) return
  noting.add(prototype)
  Object.defineProperty(prototype, 'route', {
    configurable: true,
    enumerable: true,
    get(this: Routed) {
      return this[ROUTE]
    },
    set(this: Routed, route: { path?: unknown } | undefined) {
      this[ROUTE] = route
      if (route?.path === undefined) return
      this[PATTERN] = Mounts.of(this.app).patternOf(route, this.baseUrl ?? '') + String(route.path)
    },
  })
}
