import { isDeepStrictEqual } from 'node:util'
import { Redis } from 'ioredis'
import { startRedis } from '../limiter/redis-server.mjs'

/**
 * Hits of the second tier alone, in a private Redis: no contender keeps anything in the process. All keys in flight are
 * different, so that no contender answers two callers by one read.
 */

const RAW = 'ioredis GET + JSON.parse'
/** What it takes at least to see in the same moment that an entry was not invalidated. */
const CHECKED = 'ioredis MGET with an epoch + JSON.parse'
const SIZES = { '200 B': 1, '20 KB': 100 }
const COUNT = 512

function valueOfRows(rows) {
  const row = (i) => ({
    id: i,
    name: 'Ada Lovelace',
    mail: 'ada@example.org',
    roles: ['admin', 'author'],
    note: 'x'.repeat(96),
  })
  return rows === 1 ? row(0) : { rows: Array.from({ length: rows }, (_, i) => row(i)) }
}

/** `make(url, client, load)` returns `{ hit, close? }`. */
function hits(rows, inFlight, make) {
  return async () => {
    const redis = await startRedis()
    const url = `redis://127.0.0.1:${redis.port}`
    const client = new Redis(url)
    const value = valueOfRows(rows)
    const { hit, close } = await make(url, client, async () => value)
    const keys = Array.from({ length: COUNT }, (_, i) => `key:${i}`)
    for (const key of keys) await hit(key)
    // A contender that would answer from somewhere else, or with something else, is found out here.
    const before = Number(/total_commands_processed:(\d+)/.exec(await client.info('stats'))[1])
    for (const key of keys) {
      if (!isDeepStrictEqual(await hit(key), value)) throw new Error('a wrong value')
    }
    const after = Number(/total_commands_processed:(\d+)/.exec(await client.info('stats'))[1])
    if (after - before < COUNT) throw new Error('it did not ask Redis')
    return {
      async close() {
        await close?.()
        client.disconnect()
        await redis.stop()
      },
      async run(roundMs) {
        const end = performance.now() + roundMs
        let ops = 0
        const one = async (start) => {
          for (let i = start; performance.now() < end; i += inFlight) {
            await hit(keys[i % COUNT])
            ops++
          }
        }
        await Promise.all(Array.from({ length: inFlight }, (_, i) => one(i)))
        return { ops }
      },
    }
  }
}

function contenders(rows, inFlight) {
  const of = (make) => hits(rows, inFlight, make)
  return {
    [RAW]: of(async (_url, client, load) => ({
      async hit(key) {
        const text = await client.get(key)
        if (text !== null) return JSON.parse(text)
        const value = await load()
        await client.set(key, JSON.stringify(value), 'PX', 600_000)
        return value
      },
    })),
    [CHECKED]: of(async (_url, client, load) => {
      await client.set('epoch', '1')
      return {
        async hit(key) {
          const [text, epoch] = await client.mget(key, 'epoch')
          if (text !== null && epoch === '1') return JSON.parse(text)
          const value = await load()
          await client.set(key, JSON.stringify(value), 'PX', 600_000)
          return value
        },
      }
    }),
    '@spillway/cache': of(async (_url, client, load) => {
      const { Cache, redisStore } = await import('@spillway/cache')
      const cache = new Cache({ l1: false, ttl: '10m', store: redisStore(client) })
      return { hit: (key) => cache.getOrSet(key, load), close: () => cache.close() }
    }),
    'async-cache-dedupe': of(async (_url, client, load) => {
      const { createCache } = await import('async-cache-dedupe')
      const cache = createCache({ ttl: 600, storage: { type: 'redis', options: { client } } })
      cache.define('user', load)
      return { hit: (key) => cache.user(key) }
    }),
    'cache-manager, @keyv/redis': of(async (url, _client, load) => {
      const { createCache } = await import('cache-manager')
      const { createKeyv } = await import('@keyv/redis')
      const store = createKeyv(url)
      const cache = createCache({ stores: [store], ttl: 600_000 })
      return { hit: (key) => cache.wrap(key, load), close: () => cache.disconnect() }
    }),
  }
}

export const scenarios = Object.entries(SIZES).flatMap(([size, rows]) =>
  [1, 64].map((inFlight) => ({
    title: `Cache: hit in Redis, ${size}, ${inFlight === 1 ? 'one after the other' : `${inFlight} in flight`}`,
    baseline: RAW,
    rounds: 5,
    roundMs: 500,
    // One after the other, it takes a second until V8 has compiled anew what it dropped at the collection before the round.
    warmMs: inFlight === 1 ? 1_500 : 300,
    contenders: contenders(rows, inFlight),
  })),
)
