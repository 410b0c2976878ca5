import type { IncomingMessage, RequestListener } from 'node:http'
import { pathOf } from '@spillway/kit'
import { RejectedError } from '../errors.js'
import type { Scrapable } from '../series/exposition.js'
import { MetricsEndpoint, type MetricsRouteOptions } from './endpoint.js'

/**
 * Answers `/metrics` and the dashboard on a plain `node:http` server, such as one on a port of its own that only the
 * monitoring network reaches. Everything else is 404.
 *
 * ```ts
 * createServer(requestListener(serveClusterMetrics(), { dashboard: '/dashboard' })).listen(9100)
 * ```
 *
 * @throws TypeError | RangeError `ERR_METRICS_OPTION`
 */
export function requestListener(
  metrics: Scrapable,
  options: Pick<
    MetricsRouteOptions<IncomingMessage>,
    'path' | 'dashboard' | 'allow' | 'token' | 'freshFor'
  > = {},
): RequestListener {
  const endpoint = new MetricsEndpoint(metrics, options)
  return (req, res) => {
    const path = pathOf(req.url ?? '/')
    const method = req.method ?? 'GET'
    if (!endpoint.owns(method, path)) {
      res.writeHead(404).end()
      return
    }
    endpoint.answer(path, req, req).then(
      ({ headers, body }) => {
        res.writeHead(200, { ...headers, 'Content-Length': Buffer.byteLength(body) })
        res.end(method === 'HEAD' ? undefined : body)
      },
      (error: unknown) => {
        if (error instanceof RejectedError) res.writeHead(error.status, error.headers).end()
        else res.writeHead(500).end()
      },
    )
  }
}
