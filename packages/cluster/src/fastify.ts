import { applyVerdict, plugin, setHeaders } from '@spillway/kit/fastify'
import type { FastifyPluginCallback, FastifyReply } from 'fastify'
import { type DrainGateOptions, drainVerdict } from './worker/drain-gate.js'
import { CLOSING, HEALTH_HEADERS, Health, type HealthAnswer, type HealthOptions } from './worker/health.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false`: this route is served even when the process should have stopped. */
    drainGate?: false
  }
}

/**
 * Liveness on `/healthz` and readiness on `/readyz`: `await app.register(health)`. Readiness is 503 until the process
 * is ready, once the whole service stops, and once `app.close()` has begun.
 *
 * @throws TypeError | RangeError `ERR_CLUSTER_OPTION`
 */
export const health: FastifyPluginCallback<HealthOptions> = plugin(
  '@spillway/cluster',
  (app, options, done) => {
    const routes = new Health(options)
    let closing = false
    app.addHook('preClose', (next) => {
      closing = true
      next()
    })
    for (const path of [routes.live, routes.ready]) {
      if (path === false) continue
      app.get(path, { config: { drainGate: false }, logLevel: 'silent' }, async (_request, reply) => {
        const answer = closing && path === routes.ready ? CLOSING : await routes.at(path)
        return answer === undefined ? reply.callNotFound() : send(reply, answer)
      })
    }
    done()
  },
)

/**
 * Turns requests away that come when this process should have stopped: `await app.register(drainGate)`. The app's error
 * handler gets a {@link DrainingError} (503, `Retry-After`). A route opts out by `config: { drainGate: false }`.
 *
 * @throws TypeError | RangeError `ERR_CLUSTER_OPTION`
 */
export const drainGate: FastifyPluginCallback<DrainGateOptions> = plugin(
  '@spillway/cluster',
  (app, options, done) => {
    const verdict = drainVerdict(options)
    app.addHook('onRequest', (request, reply, next) => {
      if (request.routeOptions.config.drainGate === false) return next()
      applyVerdict(verdict(request.raw), reply, next)
    })
    done()
  },
)

function send(reply: FastifyReply, { status, body }: HealthAnswer): FastifyReply {
  setHeaders(reply, HEALTH_HEADERS)
  return reply.code(status).send(body)
}

export { DrainingError } from './errors.js'
export type { DrainGateOptions } from './worker/drain-gate.js'
export type { HealthCheck, HealthOptions } from './worker/health.js'
