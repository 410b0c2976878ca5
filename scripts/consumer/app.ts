// What users write, as an ES module: every published package and every adapter, on all three frameworks. It is
// type-checked against the packed tarballs, never run.
import { Cache, type CacheStats, memoryStore as cacheMemory, redisStore as cacheRedis } from '@spillway/cache'
import { cacheResponse as cacheExpress } from '@spillway/cache/express'
import { cacheResponse as cacheFastify } from '@spillway/cache/fastify'
import { cacheResponse as cacheKoa } from '@spillway/cache/koa'
import { type Served, Supervisor, serve } from '@spillway/cluster'
import { drainGate as drainExpress, health as healthExpress } from '@spillway/cluster/express'
import { drainGate as drainFastify, health as healthFastify } from '@spillway/cluster/fastify'
import { drainGate as drainKoa, health as healthKoa } from '@spillway/cluster/koa'
import {
  type Decision,
  defineLimit,
  limiters,
  RateLimitError,
  RateLimiter,
  redisStore,
} from '@spillway/limiter'
import {
  limitConcurrency as boundExpress,
  decisionOf,
  rateLimit as limitExpress,
} from '@spillway/limiter/express'
import { limitConcurrency as boundFastify, rateLimit as limitFastify } from '@spillway/limiter/fastify'
import { limitConcurrency as boundKoa, rateLimit as limitKoa } from '@spillway/limiter/koa'
import { type Level, MemoryMonitor, OverloadedError } from '@spillway/memory'
import { memoryReport as reportExpress, shedLoad as shedExpress } from '@spillway/memory/express'
import { memoryReport as reportFastify, shedLoad as shedFastify } from '@spillway/memory/fastify'
import { memoryReport as reportKoa, shedLoad as shedKoa } from '@spillway/memory/koa'
import { Metrics, serveClusterMetrics } from '@spillway/metrics'
import { metrics as metricsExpress } from '@spillway/metrics/express'
import { metrics as metricsFastify } from '@spillway/metrics/fastify'
import { metrics as metricsKoa } from '@spillway/metrics/koa'
import { MysqlPool, MysqlTimeoutError, ShardedMysql } from '@spillway/mysql'
import { mysqlPool as mysqlExpress, transactional as transactionalExpress } from '@spillway/mysql/express'
import { mysqlPool as mysqlFastify, transactional as transactionalFastify } from '@spillway/mysql/fastify'
import { mysqlPool as mysqlKoa, transactional as transactionalKoa } from '@spillway/mysql/koa'
import { Offloader, type Task, type TaskContext } from '@spillway/offload'
import { offload as offloadExpress } from '@spillway/offload/express'
import { offloaderPlugin, offload as offloadFastify } from '@spillway/offload/fastify'
import { offload as offloadKoa } from '@spillway/offload/koa'
import { readyTasks } from '@spillway/offload/tasks'
import express, { type NextFunction, type Request, type Response } from 'express'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import Koa from 'koa'
import type { RowDataPacket } from 'mysql2'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Does not compile unless both types are the same: `check<Same<typeof x, number>>()`. */
function check<_Truth extends true>(): void {}

interface User {
  readonly id: number
  readonly plan: 'free' | 'paid'
}

// Cache: what the loader returns flows out.
const redis = new Redis({ lazyConnect: true })
const cache = new Cache({
  store: cacheRedis(redis),
  ttl: '5m',
  swr: '1m',
  staleIfError: '1h',
  l1: { maxBytes: '64mb', ttl: '5s' },
})
const second = new Cache({ store: cacheMemory(), l1: false })
const loadUser = async (id: number): Promise<User> => ({ id, plan: 'free' })
const user = await cache.getOrSet(['user', 7], ({ signal }) => (signal.aborted ? undefined : loadUser(7)))
check<Same<typeof user, User | undefined>>()
const cachedUser = cache.wrap(loadUser, { key: (id) => ['user', id], ttl: '1m', tags: ['users'] })
check<Same<ReturnType<typeof cachedUser>, Promise<User>>>()
const [name] = await second.getMany<string>(['a', 'b'])
check<Same<typeof name, string | undefined>>()
await cache.deleteByTag(['users', 'plans'])
const stats: CacheStats = cache.stats()
// @ts-expect-error a duration has a unit
new Cache({ ttl: '5 minutes' })
// @ts-expect-error no such option
new Cache({ maxAge: 5000 })

// Limiter: a decision at once in memory, a promise where the buckets are shared.
const limiter = new RateLimiter({ limit: 100, window: '15m' })
const decision = limiter.consume('user:7', { cost: 2 })
check<Same<typeof decision, Decision>>()
const shared = new RateLimiter({
  name: 'api',
  capacity: 50,
  refill: { tokens: 10, per: '1s' },
  store: redisStore(redis),
  onStoreFailure: { local: 0.25 },
})
const later: Promise<Decision> | Decision = shared.consume('user:7')
const both = limiters.all([limiter, new RateLimiter({ limit: 10, window: '1s' })])
const paid = defineLimit({ limit: 1000, window: '1m' })
if (!both.consume('user:7', { signal: AbortSignal.timeout(50) }).allowed) {
  const { status, headers } = new RateLimitError(decision)
  check<Same<typeof status, number>>()
  check<Same<typeof headers, Readonly<Record<string, string>>>>()
}
// @ts-expect-error a limit has a window
new RateLimiter({ limit: 100 })

// MySQL
const pool = new MysqlPool({
  uri: 'mysql://app@127.0.0.1/shop',
  replicas: ['mysql://app@127.0.0.2/shop'],
  acquireTimeout: '2s',
  timeout: '5s',
})
const [rows] = await pool.query<RowDataPacket[]>('SELECT id FROM user WHERE plan = ?', ['paid'])
const ids = rows.map((row) => Number(row.id))
const one = await pool.one<User>('SELECT id, plan FROM user WHERE id = ?', [7], {
  timeout: '1s',
  on: 'primary',
})
check<Same<typeof one, User | undefined>>()
const moved = await pool.transaction(async (tx) => {
  await tx.execute('UPDATE user SET plan = ? WHERE id = ?', ['paid', 7])
  return 'done' as const
})
check<Same<typeof moved, 'done'>>()
const shards = new ShardedMysql({ shards: { a: { uri: 'mysql://a/shop' }, b: { uri: 'mysql://b/shop' } } })

// Offloader: a task has the types of its function.
export async function resize(image: Uint8Array, context: TaskContext<{ done: number }>): Promise<Uint8Array> {
  context.check()
  context.report({ done: 1 })
  return image
}
const offloader = new Offloader({ threads: 'auto', memory: '256mb', timeout: '2s' })
const resized = offloader.task<{ resize: typeof resize }>(new URL('./app.js', import.meta.url), 'resize')
check<Same<typeof resized, Task<Uint8Array, Uint8Array, { done: number }>>>()
const bytes: Uint8Array = await resized(new Uint8Array(1), {
  onProgress: ({ done }) => done.toFixed(),
  transfer: 'auto',
})
const { gzip, hashPassword } = readyTasks(offloader, { priority: 'low' })
const hash: string = await hashPassword({ password: 'secret' }, { deadline: '1s' })
const sum: number = await offloader.runInline((a: number, b: number) => a + b, 1, 2)
for await (const image of resized.map([bytes], { concurrency: 2 })) image.byteLength.toFixed()
// @ts-expect-error the input is bytes
void resized('bytes')
// @ts-expect-error no such function in the module
offloader.task<{ resize: typeof resize }>(new URL('./app.js', import.meta.url), 'rezise')

// Memory and metrics
const monitor = new MemoryMonitor({ limit: '512mb', health: (): Level => 'ok' })
monitor.on('level', (level, reasons) => console.log(level.toUpperCase(), reasons.length))
const collector = new Metrics({ labels: { app: 'shop' } })
for (const source of [cache, limiter, pool, offloader, monitor]) collector.watch('shop', source)
serveClusterMetrics()

// Express
const expressApp = express()
expressApp.use(metricsExpress(collector, { allow: (req) => req.ip === '127.0.0.1', dashboard: '/dashboard' }))
expressApp.use(healthExpress({ checks: { memory: () => !monitor.overloaded } }), drainExpress())
expressApp.use(shedExpress(monitor, { priority: (req) => (req.path.startsWith('/pay') ? 2 : 1) }))
expressApp.use(
  limitExpress({ limit: 100, window: '15m', key: (req) => req.get('x-api-key'), skip: (req) => req.xhr }),
)
expressApp.use(
  limitExpress({ limiter: shared, limitFor: async (req) => (req.query.paid ? paid : undefined) }),
)
expressApp.use(boundExpress({ limit: 200, key: (req) => req.hostname }))
expressApp.get('/left', (req, res) => void res.json(decisionOf(req)?.remaining))
expressApp.all('/memory', reportExpress(monitor, { allow: (req) => req.ip === '127.0.0.1' }))
expressApp.use(mysqlExpress(pool))
expressApp.get(
  '/users/:id',
  cacheExpress(cache, {
    ttl: '30s',
    key: (req) => req.get('x-tenant'),
    tags: (req) => [`user:${String(req.params.id)}`],
  }),
  async (req, res) => {
    res.json(await req.mysql.one('SELECT * FROM user WHERE id = ?', [req.params.id]))
  },
)
expressApp.post(
  '/images',
  offloadExpress(resized, { input: (req) => req.body as Uint8Array, deadline: '3s' }),
)
expressApp.post(
  '/orders',
  transactionalExpress(async (tx, req) => tx.execute('INSERT INTO item VALUES (?)', [req.ip ?? null])),
)
expressApp.use((error: unknown, _req: Request, res: Response, next: NextFunction) => {
  if (error instanceof OverloadedError || error instanceof RateLimitError) res.status(error.status).end()
  else if (error instanceof MysqlTimeoutError) res.status(504).end(error.code)
  else next(error)
})

// Fastify
const fastifyApp = Fastify()
await fastifyApp.register(metricsFastify, {
  metrics: collector,
  allow: (request) => request.ip === '127.0.0.1',
})
await fastifyApp.register(healthFastify, { live: '/live' })
await fastifyApp.register(drainFastify, { retryAfter: '2s' })
await fastifyApp.register(shedFastify, { monitor, skip: (request) => request.url === '/status' })
await fastifyApp.register(limitFastify, {
  limit: 100,
  window: '15m',
  key: (request) => request.headers['x-api-key'] as string,
})
await fastifyApp.register(boundFastify, { limit: 200, key: (request) => request.hostname })
fastifyApp.get('/memory', reportFastify(monitor, { allow: async (request) => request.ip === '127.0.0.1' }))
await fastifyApp.register(mysqlFastify, { pool })
await fastifyApp.register(offloaderPlugin, { offloader })
await fastifyApp.register(cacheFastify, { cache, ttl: '30s', tags: (request) => [request.url] })
fastifyApp.get(
  '/users/:id',
  { config: { rateLimit: { limit: 10, window: '1s' }, cacheResponse: false, shedLoad: { priority: 2 } } },
  (request) => request.mysql.one('SELECT * FROM user WHERE id = ?', [(request.params as { id: string }).id]),
)
fastifyApp.get(
  '/free',
  { config: { rateLimit: false, metrics: false, drainGate: false, shedLoad: false } },
  () => ids,
)
fastifyApp.post('/images', offloadFastify(resized, { input: (request) => request.body as Uint8Array }))
fastifyApp.post(
  '/orders',
  transactionalFastify((tx, request) => tx.execute('INSERT INTO item VALUES (?)', [request.ip])),
)
fastifyApp.get('/threads', () => ({
  threads: fastifyApp.offloader.threads,
  series: fastifyApp.metrics.stats().series,
}))

// Koa
const koaApp = new Koa()
koaApp.use(metricsKoa(collector, { route: (ctx) => ctx.path }))
koaApp.use(healthKoa()).use(drainKoa({ strict: true }))
koaApp.use(shedKoa(monitor, { skip: (ctx) => ctx.path === '/status' }))
koaApp.use(
  limitKoa({ limit: 100, window: '15m', key: (ctx) => ctx.get('x-api-key'), cost: (ctx) => ctx.path.length }),
)
koaApp.use(boundKoa({ limit: 200, key: (ctx) => ctx.hostname }))
koaApp.use(reportKoa(monitor, { path: '/memory', allow: (ctx) => ctx.ip === '127.0.0.1' }))
koaApp.use(mysqlKoa(pool))
koaApp.use(cacheKoa(cache, { ttl: '30s', vary: ['accept-language'], key: (ctx) => ctx.get('x-tenant') }))
koaApp.use(
  offloadKoa(resized, {
    input: (ctx) => ctx.req.read() as Uint8Array,
    reply: (image, ctx) => void (ctx.body = image),
  }),
)
koaApp.use(transactionalKoa((tx, ctx) => tx.execute('INSERT INTO item VALUES (?)', [ctx.ip])))

// Cluster
const served: Served = await serve(expressApp, {
  port: 0,
  drain: { timeout: '10s' },
  close: [pool, cache, monitor],
})
await serve(fastifyApp, { port: 0 })
await serve(koaApp, { port: 0 })
const supervisor = new Supervisor({ exec: './app.js', workers: 'auto' })
supervisor.on('ready', (worker) => console.log(worker.pid))
await supervisor.start()
await supervisor.close({ timeout: '5s' })
await Promise.all([
  served.close(),
  cache.close(),
  pool.close(),
  shards.close(),
  offloader.close(),
  later,
  stats,
  sum,
  hash,
  gzip,
])
