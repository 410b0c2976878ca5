import { onResponseEnd } from '@spillway/kit'
import { plugin } from '@spillway/kit/fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import { MetricsEndpoint, type MetricsRouteOptions } from './http/endpoint.js'
import { routeName } from './http/route-name.js'
import type { Metrics } from './metrics.js'
import { CLIENT_CLOSED_REQUEST, UNMATCHED } from './recording/request-recorder.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** For metrics of your own: `app.metrics.registry`. */
    metrics: Metrics
  }
  interface FastifyContextConfig {
    /** `false`: requests of this route are not recorded. */
    metrics?: false
  }
}

export interface FastifyMetricsOptions extends MetricsRouteOptions<FastifyRequest> {
  readonly metrics: Metrics
}

/**
 * Records every request of the scope it is registered in, answers `/metrics` and the dashboard, and closes the metrics
 * with the app.
 *
 * ```ts
 * await app.register(metrics, { metrics: new Metrics(), dashboard: '/dashboard' })
 * ```
 *
 * @throws TypeError | RangeError `ERR_METRICS_OPTION`
 */
export const metrics: FastifyPluginAsync<FastifyMetricsOptions> = plugin(
  '@spillway/metrics',
  async (app: FastifyInstance, { metrics: collector, ...options }: FastifyMetricsOptions) => {
    const endpoint = new MetricsEndpoint(collector, options)
    const { route: nameOf, skip } = options
    app.decorate('metrics', collector)
    app.addHook('onRequest', async (request, reply) => {
      const { config, url = UNMATCHED } = request.routeOptions
      if (config.metrics === false || skip?.(request) === true) return
      const end = collector.requests.begin()
      onResponseEnd(reply.raw, (finished) => {
        const status = finished ? reply.raw.statusCode : CLIENT_CLOSED_REQUEST
        end({ method: request.method, route: routeName(nameOf, request) ?? url, status })
      })
    })
    for (const path of endpoint.paths) {
      app.get(path, async (request, reply) => {
        const { headers, body } = await endpoint.answer(path, request, request.raw)
        return reply.headers(headers).send(body)
      })
    }
    app.addHook('onClose', () => collector.close())
  },
)

export default metrics
