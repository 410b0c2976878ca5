import { attachSuite, operatorSuite, probeSuite } from '@spillway/kit/testing'
import type { Request } from 'express'
import type { FastifyRequest } from 'fastify'
import type { Context } from 'koa'
import { metrics as expressMetrics } from '../../src/express.js'
import { metrics as fastifyMetrics } from '../../src/fastify.js'
import { Metrics } from '../../src/index.js'
import { metrics as koaMetrics } from '../../src/koa.js'

probeSuite('metrics', {
  path: '/metrics',
  type: 'text/plain',
  unhealthy: false,
  setup() {
    const metrics = new Metrics({ processMetrics: false })
    return {
      express: (app) => app.use(expressMetrics(metrics)),
      fastify: (app) => app.register(fastifyMetrics, { metrics }),
      koa: (app) => app.use(koaMetrics(metrics)),
      close: () => metrics.close(),
    }
  },
})

attachSuite('metrics', {
  setup() {
    const metrics = new Metrics({ processMetrics: false })
    return {
      express: (app, server) => {
        app.use(expressMetrics(metrics))
        server.once('close', () => void metrics.close())
      },
      fastify: (app) => app.register(fastifyMetrics, { metrics }),
      koa: (app, server) => {
        app.use(koaMetrics(metrics))
        server.once('close', () => void metrics.close())
      },
      closed: () => metrics.stats().series === 0,
      instance: metrics,
    }
  },
  handle: {
    express: (req: Request) => req.metrics,
    fastify: (request: FastifyRequest) => request.server.metrics,
    koa: (ctx: Context) => ctx.state.metrics,
  },
})

operatorSuite('metrics', {
  paths: {
    '/metrics': ['GET'],
    '/dashboard': ['GET'],
    '/dashboard/data': ['GET'],
    '/dashboard/dashboard.js': ['GET'],
    '/dashboard/dashboard.css': ['GET'],
  },
  code: 'ERR_METRICS_FORBIDDEN',
  setup(given) {
    const metrics = new Metrics({ processMetrics: false })
    const options = { ...given, dashboard: '/dashboard' }
    return {
      express: (app) => app.use(expressMetrics(metrics, options)),
      fastify: (app) => app.register(fastifyMetrics, { metrics, ...options }),
      koa: (app) => app.use(koaMetrics(metrics, options)),
      close: () => metrics.close(),
    }
  },
})
