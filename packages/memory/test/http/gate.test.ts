import { gateSuite, probeSuite } from '@spillway/kit/testing'
import * as express from '../../src/express.js'
import * as fastify from '../../src/fastify.js'
import * as koa from '../../src/koa.js'
import { stand } from '../support.js'

function monitorThatIs(level: 'ok' | 'critical') {
  const { monitor, pass } = stand({ health: () => level })
  pass(1_000)
  return monitor
}

gateSuite('shedLoad', {
  setup(mode) {
    const monitor = monitorThatIs(mode === 'refuse' ? 'critical' : 'ok')
    return {
      express: (app) => app.use(express.shedLoad(monitor)),
      fastify: (app) => app.register(fastify.shedLoad, { monitor }),
      koa: (app) => app.use(koa.shedLoad(monitor)),
      close: () => monitor.close(),
    }
  },
  refusal: { status: 503, code: 'ERR_MEMORY_OVERLOADED', headers: ['retry-after'] },
  optOut: { shedLoad: false },
})

probeSuite('health', {
  path: '/healthz',
  unhealthy: false,
  setup() {
    const monitor = monitorThatIs('critical')
    return {
      express: (app) => app.get('/healthz', express.health(monitor)),
      fastify: (app) => app.get('/healthz', fastify.health(monitor)),
      koa: (app) => app.use(koa.health(monitor)),
      close: () => monitor.close(),
    }
  },
})

probeSuite('readiness', {
  path: '/readyz',
  setup(healthy) {
    const monitor = monitorThatIs(healthy ? 'ok' : 'critical')
    return {
      express: (app) => app.get('/readyz', express.readiness(monitor)),
      fastify: (app) => app.get('/readyz', fastify.readiness(monitor)),
      koa: (app) => app.use(koa.readiness(monitor)),
      close: () => monitor.close(),
    }
  },
})

probeSuite('memoryReport', {
  path: '/memory',
  unhealthy: false,
  setup() {
    const monitor = monitorThatIs('ok')
    const options = { allow: () => true }
    return {
      express: (app) => app.get('/memory', express.memoryReport(monitor, options)),
      fastify: (app) => app.get('/memory', fastify.memoryReport(monitor, options)),
      koa: (app) => app.use(koa.memoryReport(monitor, options)),
      close: () => monitor.close(),
    }
  },
})
