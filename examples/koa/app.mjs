// A notes API that is limited, cached, offloaded, shed under pressure, measured, and stopped without losing a request.
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import { Cache, redisStore as redisCache } from '@spillway/cache'
import { cacheResponse } from '@spillway/cache/koa'
import { serve } from '@spillway/cluster'
import { drainGate, health } from '@spillway/cluster/koa'
import { redisStore as buckets, RateLimiter } from '@spillway/limiter'
import { rateLimit } from '@spillway/limiter/koa'
import { MemoryMonitor } from '@spillway/memory'
import { shedLoad } from '@spillway/memory/koa'
import { Metrics } from '@spillway/metrics'
import { metrics } from '@spillway/metrics/koa'
import { Offloader } from '@spillway/offload'
import { Redis } from 'ioredis'
import Koa from 'koa'

const { REDIS_URL, MEMORY_LIMIT = 'auto', RATE_LIMIT = '100' } = process.env

// With a Redis all processes share one cache and one limit; without, each has its own.
const redis = REDIS_URL === undefined ? undefined : new Redis(REDIS_URL)
redis?.on('error', (error) => console.error(`Redis: ${error.message}`))
const cache = new Cache({ store: redis && redisCache(redis) })
const limiter = new RateLimiter({ limit: Number(RATE_LIMIT), window: '1m', store: redis && buckets(redis) })
const monitor = new MemoryMonitor({ limit: MEMORY_LIMIT })
const offloader = new Offloader()
const collector = new Metrics()
for (const [kind, source] of Object.entries({ cache, limiter, memory: monitor, offload: offloader }))
  collector.watch(kind, source)

const notes = [] // stands for your database

const router = new Router()
const cached = cacheResponse(cache, { ttl: '30s', tags: () => ['notes'] })

router.get('/notes', cached, (ctx) => {
  ctx.body = notes
})

router.get('/alike', cached, async (ctx) => {
  ctx.body = JSON.stringify(await offloader.runInline(mostAlike, notes))
  ctx.type = 'json'
})

router.post('/notes', bodyParser({ jsonLimit: '4kb' }), async (ctx) => {
  const text = ctx.request.body?.text
  ctx.assert(typeof text === 'string' && text !== '' && text.length <= 100, 400, 'text: 1 to 100 characters')
  notes.push(text)
  if (notes.length > 100) notes.shift()
  await cache.deleteByTag('notes') // every answer made of notes, on every node
  ctx.status = 201
  ctx.body = { text }
})

/** The two notes with the fewest edits (Levenshtein) between them. Its source crosses into the thread, nothing else. */
function mostAlike(notes) {
  const edits = (a, b) => {
    let row = Array.from({ length: b.length + 1 }, (_, i) => i)
    for (let i = 1; i <= a.length; i++) {
      const next = [i]
      for (let j = 1; j <= b.length; j++)
        next.push(Math.min(row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1), row[j] + 1, next[j - 1] + 1))
      row = next
    }
    return row[b.length]
  }
  const pairs = notes.flatMap((a, i) => notes.slice(i + 1).map((b) => ({ a, b, edits: edits(a, b) })))
  return pairs.sort((one, two) => one.edits - two.edits)[0] ?? null
}

const app = new Koa()
app.use(metrics(collector, { dashboard: '/dashboard' })) // and /metrics
app.use(health({ checks: { memory: () => !monitor.overloaded } })) // /healthz and /readyz
app.use(drainGate()).use(shedLoad(monitor)).use(rateLimit({ limiter }))
app.use(router.routes()).use(router.allowedMethods())

const close = [{ close: () => redis?.disconnect() }, cache, limiter, monitor, offloader, collector]
const { port } = await serve(app, { close }) // on PORT, else 3000; SIGTERM and Ctrl-C drain it
console.log(`http://localhost:${port}/notes`)
