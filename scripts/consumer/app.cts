// What users write in CommonJS: every published package and every adapter by `require`. It is type-checked against the
// packed tarballs, never run. `app.ts` goes through the options; here it is about how things are reached.
import cacheCore = require('@spillway/cache')
import cacheExpress = require('@spillway/cache/express')
import cacheFastify = require('@spillway/cache/fastify')
import cacheKoa = require('@spillway/cache/koa')
import clusterCore = require('@spillway/cluster')
import clusterExpress = require('@spillway/cluster/express')
import clusterFastify = require('@spillway/cluster/fastify')
import clusterKoa = require('@spillway/cluster/koa')
import limiterCore = require('@spillway/limiter')
import limiterExpress = require('@spillway/limiter/express')
import limiterFastify = require('@spillway/limiter/fastify')
import limiterKoa = require('@spillway/limiter/koa')
import memoryCore = require('@spillway/memory')
import memoryExpress = require('@spillway/memory/express')
import memoryFastify = require('@spillway/memory/fastify')
import memoryKoa = require('@spillway/memory/koa')
import metricsCore = require('@spillway/metrics')
import metricsExpress = require('@spillway/metrics/express')
import metricsFastify = require('@spillway/metrics/fastify')
import metricsKoa = require('@spillway/metrics/koa')
import mysqlCore = require('@spillway/mysql')
import mysqlExpress = require('@spillway/mysql/express')
import mysqlFastify = require('@spillway/mysql/fastify')
import mysqlKoa = require('@spillway/mysql/koa')
import offloadCore = require('@spillway/offload')
import offloadExpress = require('@spillway/offload/express')
import offloadFastify = require('@spillway/offload/fastify')
import offloadKoa = require('@spillway/offload/koa')
import offloadTasks = require('@spillway/offload/tasks')
import express = require('express')

import { fastify } from 'fastify'
import { Redis } from 'ioredis'

import Koa = require('koa')

type Decision = limiterCore.Decision

const redis = new Redis({ lazyConnect: true })
const cache = new cacheCore.Cache({ store: cacheCore.redisStore(redis), ttl: '5m' })
const limiter = new limiterCore.RateLimiter({
  limit: 100,
  window: '15m',
  store: limiterCore.redisStore(redis),
})
const decided: Decision | Promise<Decision> = limiter.consume('user:7')
const pool = new mysqlCore.MysqlPool({ uri: 'mysql://app@127.0.0.1/shop' })
const offloader = new offloadCore.Offloader({ threads: 2 })
const double = (input: { n: number }): number => input.n * 2
const doubled = offloader.task<{ double: typeof double }>(__filename, 'double')
const { parseCsv } = offloadTasks.readyTasks(offloader)
const monitor = new memoryCore.MemoryMonitor({ limit: 'auto' })
const collector = new metricsCore.Metrics()
collector.watch('cache', cache, { name: 'main' })

function withExpress(): express.Express {
  const app = express()
  app.use(metricsExpress.metrics(collector), clusterExpress.health(), clusterExpress.drainGate())
  app.use(
    memoryExpress.shedLoad(monitor),
    limiterExpress.rateLimit({ limiter, key: (req) => req.get('x-api-key') }),
  )
  app.use(
    mysqlExpress.mysqlPool(pool),
    cacheExpress.cacheResponse(cache, { key: (req) => req.get('x-tenant') }),
  )
  app.get('/double/:n', offloadExpress.offload(doubled, { input: (req) => ({ n: Number(req.params.n) }) }))
  return app
}

async function withFastify() {
  const app = fastify()
  await app.register(metricsFastify.metrics, { metrics: collector })
  await app.register(clusterFastify.health)
  await app.register(clusterFastify.drainGate)
  await app.register(memoryFastify.shedLoad, { monitor })
  await app.register(limiterFastify.rateLimit, { limit: 100, window: '1m', key: (request) => request.ip })
  await app.register(mysqlFastify.mysqlPool, { pool })
  await app.register(cacheFastify.cacheResponse, { cache, ttl: '30s' })
  app.get('/one', { config: { rateLimit: false } }, (request) =>
    request.mysql.one<{ one: number }>('SELECT 1 AS one'),
  )
  app.get('/double', offloadFastify.offload(doubled, { input: (request) => request.query as { n: number } }))
  return app
}

function withKoa(): Koa {
  const app = new Koa()
  app.use(metricsKoa.metrics(collector)).use(clusterKoa.health()).use(clusterKoa.drainGate())
  app.use(memoryKoa.shedLoad(monitor)).use(limiterKoa.rateLimit({ limiter, key: (ctx) => ctx.ip }))
  app.use(mysqlKoa.mysqlPool(pool)).use(cacheKoa.cacheResponse(cache, { ttl: '30s' }))
  app.use(offloadKoa.offload(doubled, { input: (ctx) => ({ n: ctx.path.length }) }))
  return app
}

async function main(): Promise<void> {
  const { allowed, retryAfter } = await decided
  if (!allowed) throw new Error(`Again in ${retryAfter.toFixed()} ms`)
  const n: number = await cache.getOrSet('n', async () => doubled({ n: 21 }), { ttl: '1m' })
  const servers = [withExpress(), await withFastify(), withKoa()].map((app) =>
    clusterCore.serve(app, { port: n }),
  )
  for (const served of await Promise.all(servers)) await served.close({ timeout: '5s' })
  const { level }: memoryCore.MemoryStats = monitor.stats()
  const failure: unknown = await pool.close().then(
    () => [level, parseCsv.name],
    (error: unknown) => error,
  )
  if (failure instanceof limiterCore.RateLimitError) failure.headers['Retry-After']?.at(0)
}

void main()
