// A notes API that is limited, cached, offloaded, shed under pressure, measured, and stopped without losing a request.
import { Cache, redisStore as redisCache } from '@spillway/cache'
import { cacheResponse } from '@spillway/cache/fastify'
import { serve } from '@spillway/cluster'
import { drainGate, health } from '@spillway/cluster/fastify'
import { redisStore as buckets, RateLimiter } from '@spillway/limiter'
import { rateLimit } from '@spillway/limiter/fastify'
import { MemoryMonitor } from '@spillway/memory'
import { shedLoad } from '@spillway/memory/fastify'
import { Metrics } from '@spillway/metrics'
import { metrics } from '@spillway/metrics/fastify'
import { Offloader } from '@spillway/offload'
import Fastify from 'fastify'
import { Redis } from 'ioredis'

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

const app = Fastify({ bodyLimit: 4096 })
await app.register(metrics, { metrics: collector, dashboard: '/dashboard' }) // and /metrics
await app.register(health, { checks: { memory: () => !monitor.overloaded } }) // /healthz and /readyz

const text = { type: 'string', minLength: 1, maxLength: 100 }
const body = { type: 'object', required: ['text'], properties: { text } }

// In a scope of its own, so that probes and metrics are never refused.
await app.register(async (api) => {
  await api.register(drainGate)
  await api.register(shedLoad, { monitor })
  await api.register(rateLimit, { limiter })
  await api.register(async (cached) => {
    await cached.register(cacheResponse, { cache, ttl: '30s', tags: () => ['notes'] })
    cached.get('/notes', async () => notes)
    cached.get('/alike', () => offloader.runInline(mostAlike, notes))
  })
  api.post('/notes', { schema: { body } }, async (request, reply) => {
    notes.push(request.body.text)
    if (notes.length > 100) notes.shift()
    await cache.deleteByTag('notes') // every answer made of notes, on every node
    return reply.code(201).send({ text: request.body.text })
  })
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

const close = [{ close: () => redis?.disconnect() }, cache, limiter, monitor, offloader]
const { port } = await serve(app, { close }) // on PORT, else 3000; SIGTERM and Ctrl-C drain it
console.log(`http://localhost:${port}/notes`)
