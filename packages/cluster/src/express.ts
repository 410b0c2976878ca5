import { pathOf } from '@spillway/kit'
import { applyVerdict, type RefusalOptions, refusalOptions } from '@spillway/kit/express'
import type { RequestHandler } from 'express'
import { type DrainGateOptions, drainVerdict } from './worker/drain-gate.js'
import { HEALTH_HEADERS, Health, type HealthOptions } from './worker/health.js'

/**
 * Liveness on `/healthz` and readiness on `/readyz`: `app.use(health())`, before everything else. Readiness is 503
 * until the process is ready and once the whole service stops. Express 4 and 5.
 *
 * @throws TypeError | RangeError `ERR_CLUSTER_OPTION`
 */
export function health(options?: HealthOptions): RequestHandler {
  const routes = new Health(options)
  return (req, res, next) => {
    const answer =
      req.method === 'GET' || req.method === 'HEAD' ? routes.at(pathOf(req.originalUrl)) : undefined
    if (answer === undefined) return next()
    Promise.resolve(answer)
      .then(({ status, body }) => {
        // Not res.json(): a probe is never "not modified".
        res.status(status).set(HEALTH_HEADERS).type('json')
        res.end(JSON.stringify(body))
      })
      .catch(next)
  }
}

/**
 * Turns requests away that come when this process should have stopped: `app.use(drainGate())`. The app's error handler
 * gets a {@link DrainingError} (503, `Retry-After`); when the app has none, it is answered here, see `onRefused`.
 *
 * @throws TypeError | RangeError `ERR_CLUSTER_OPTION`
 */
export function drainGate(options: DrainGateOptions & RefusalOptions = {}): RequestHandler {
  const [onRefused, own] = refusalOptions<DrainGateOptions>('cluster', 'drainGate', options)
  const verdict = drainVerdict(own)
  return (req, res, next) => applyVerdict(verdict(req), res, next, onRefused)
}

export { DrainingError } from './errors.js'
export type { DrainGateOptions } from './worker/drain-gate.js'
export type { HealthCheck, HealthOptions } from './worker/health.js'
