import { Cache, memcachedStore, redisStore as redisCacheStore } from '@spillway/cache'
import { clusterStore, RateLimiter, redisStore as redisLimitStore } from '@spillway/limiter'
import { MemoryMonitor } from '@spillway/memory'
import { Metrics } from '@spillway/metrics'
import { MysqlPool } from '@spillway/mysql'
import { Offloader } from '@spillway/offload'
import { Redis } from 'ioredis'
import { Cities } from './cities.js'
import type { Config } from './config.js'

/** What one worker has at hand, made once, closed in the reverse order. */
export type Services = ReturnType<typeof openServices>

export function openServices(config: Config, env: NodeJS.ProcessEnv) {
  const redis =
    config.redisUrl === undefined ? undefined : new Redis(config.redisUrl, { maxRetriesPerRequest: 1 })
  // The packages decide without Redis when it is gone, and say so on their channels.
  redis?.on('error', () => {})

  const [primary, ...replicas] = config.databases
  const pool = new MysqlPool({ uri: primary!, replicas, ...endpoint(env) })
  const cache = new Cache({ name: 'cities', ttl: '10m', ...cacheStore(config, redis) })
  const limiter = new RateLimiter({
    name: 'client',
    limit: config.rateLimit,
    window: '1m',
    store: redis === undefined ? clusterStore() : redisLimitStore(redis),
  })
  const offloader = new Offloader({ queue: 100 })
  const report = offloader.task<typeof import('./tasks.js')>(
    new URL('./tasks.js', import.meta.url),
    'groupCities',
  )
  const monitor = new MemoryMonitor()
  const metrics = new Metrics({ labels: { app: 'cities', framework: config.framework } })
  metrics.watch('cache', cache)
  metrics.watch('mysql', pool)
  metrics.watch('limiter', limiter, { name: 'client' })
  metrics.watch('offload', offloader)
  metrics.watch('memory', monitor)

  return {
    cities: new Cities(cache, pool, redis !== undefined),
    cache,
    pool,
    limiter,
    report,
    monitor,
    metrics,
    /** What readiness asks. */
    checks: { database: () => pool.query('SELECT 1'), memory: () => !monitor.overloaded },
    /** A client is its API key, if it is one we know; else its address, which the limiter finds out by itself. */
    apiKey: (header: unknown) =>
      typeof header === 'string' && config.apiKeys.includes(header) ? header : undefined,
    async close() {
      await offloader.close()
      await limiter.close()
      await cache.close()
      await pool.close()
      await metrics.close()
      await monitor.close()
      redis?.disconnect()
    },
  }
}

/** The demo engine speaks the text protocol only, and knows no sessions. */
function endpoint({ DATABASE_ENGINE }: NodeJS.ProcessEnv) {
  return DATABASE_ENGINE === 'demo'
    ? { prepared: false, session: false, control: false, reads: false as const }
    : {}
}

function cacheStore(config: Config, redis: Redis | undefined) {
  if (redis !== undefined) return { store: redisCacheStore(redis) }
  return config.memcached.length > 0 ? { store: memcachedStore(config.memcached) } : {}
}
