import { applyVerdict, plugin, setHeaders } from '@spillway/kit/fastify'
import type {
  FastifyInstance,
  FastifyPluginCallback,
  FastifyReply,
  FastifyRequest,
  RouteHandlerMethod,
} from 'fastify'
import { gate, isFresh, type ShedLoadOptions } from './http/gate.js'
import {
  type Answer,
  guard,
  liveness,
  type MemoryReportOptions,
  memoryReportAnswer,
  readiness as readinessAnswer,
} from './http/probes.js'
import type { MemoryMonitor } from './monitor.js'
import type { Priority } from './shedding/load-shedder.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false`: this route is never refused. A priority: what its requests are worth. */
    shedLoad?: false | { readonly priority: Priority }
  }
}

export interface FastifyShedLoadOptions extends ShedLoadOptions<FastifyRequest> {
  readonly monitor: MemoryMonitor
}

/**
 * Load shedding: refuses requests while the process is overloaded: `await app.register(shedLoad, { monitor })`. The app's error handler gets
 * an {@link OverloadedError} (503, `Retry-After`). A route opts out, or says what it is worth, by `config.shedLoad`.
 *
 * @throws TypeError `ERR_MEMORY_OPTION`
 */
export const shedLoad: FastifyPluginCallback<FastifyShedLoadOptions> = plugin(
  '@spillway/memory',
  (app: FastifyInstance, { monitor, ...options }: FastifyShedLoadOptions, done: (error?: Error) => void) => {
    const { isExempt, skip, priority } = gate(options)
    app.addHook('onRequest', (request, reply, next) => {
      if (monitor.calm) return next()
      const own = request.routeOptions.config.shedLoad
      if (own === false || isExempt(request.url) || skip(request)) return next()
      const verdict = monitor.verdict(
        own?.priority ?? priority(request),
        monitor.measuring && isFresh(request.socket),
      )
      applyVerdict(verdict, reply, next)
    })
    done()
  },
)

/** Liveness: `app.get('/healthz', health(monitor))`. 200 as long as the process answers, whatever the level. */
export function health(monitor: MemoryMonitor): RouteHandlerMethod {
  return (_request, reply) => send(reply, liveness(monitor))
}

/** Readiness: `app.get('/readyz', readiness(monitor))`. 503 while the monitor is critical. */
export function readiness(monitor: MemoryMonitor): RouteHandlerMethod {
  return (_request, reply) => send(reply, readinessAnswer(monitor))
}

/**
 * The memory report: `app.get('/memory', memoryReport(monitor))`, for requests from this machine or with the token. As a
 * `POST` route it takes a heap snapshot.
 *
 * @throws TypeError | RangeError `ERR_MEMORY_OPTION`
 */
export function memoryReport(
  monitor: MemoryMonitor,
  options?: MemoryReportOptions<FastifyRequest>,
): RouteHandlerMethod {
  const admit = guard(options)
  return async (request, reply) => {
    await admit(request, request.raw)
    const { method, url: target } = request
    return send(reply, await memoryReportAnswer(monitor, { method, target, accept: request.headers.accept }))
  }
}

function send(reply: FastifyReply, { status, headers, body }: Answer): FastifyReply {
  setHeaders(reply, headers)
  return reply.code(status).send(body)
}

export { OverloadedError } from './errors.js'
export type { ShedLoadOptions } from './http/gate.js'
export type { MemoryReportOptions } from './http/probes.js'
