import { eventually, type RedisServer, startRedis } from '@spillway/testkit'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RateLimiter, type RedisClient, redisStore } from '../../src/index.js'
import { SCRIPT } from '../../src/stores/redis/redis-script.js'
import { quiet, redisWorld } from '../subjects.js'
import { fresh, storeContract } from './contract.js'

let server: RedisServer
const clients: { disconnect(): void }[] = []

beforeAll(async () => {
  server = await startRedis()
})
afterAll(async () => {
  for (const client of clients) client.disconnect()
  await server[Symbol.asyncDispose]()
})

function connect<C extends RedisClient & { disconnect(): void }>(client: C): C {
  clients.push(client)
  return quiet(client)
}

storeContract('Redis', () => redisWorld(connect(new Redis(server.port, server.host))))
storeContract('Redis, by ioredis 5', () => redisWorld(connect(new Redis5(server.port, server.host))))

describe('the Redis store', () => {
  it.each([true, false])(
    'L14: SCRIPT FLUSH with 64 calls in flight, autopipelining: %s',
    async (enableAutoPipelining) => {
      const client = connect(new Redis({ port: server.port, host: server.host, enableAutoPipelining }))
      const store = redisStore(client, { deadline: '20s' })
      const limiter = new RateLimiter({ name: fresh(), limit: 1_000, window: '7d', store })
      const first = Array.from({ length: 64 }, (_, i) => limiter.consume(`k${i % 4}`))
      const flushed = client.script('FLUSH')
      const second = Array.from({ length: 64 }, (_, i) => limiter.consume(`k${i % 4}`))
      const decisions = await Promise.all([...first, ...second])
      await flushed
      expect(decisions.every(({ source }) => source === 'redis')).toBe(true)
      expect((await limiter.peek('k0', { cost: 0 })).remaining).toBe(1_000 - 32)
      await store.close()
    },
  )

  it('sends the calls of one turn in one script, those for one key as one count', async () => {
    const client = connect(new Redis(server.port, server.host))
    const store = redisStore(client)
    const limiter = new RateLimiter({ name: fresh(), limit: 100, window: '7d', store })
    await Promise.all(Array.from({ length: 300 }, (_, i) => limiter.consume(i < 200 ? 'hot' : `k${i}`)))
    expect(store.stats().calls).toBe(1)
    expect((await limiter.peek('hot', { cost: 0 })).remaining).toBe(0)
    expect((await limiter.peek('k250', { cost: 0 })).remaining).toBe(99)
    await store.close()
  })

  it('keeps the order of calls for a key within a turn', async () => {
    const store = redisStore(connect(new Redis(server.port, server.host)))
    const limiter = new RateLimiter({ name: fresh(), limit: 10, window: '7d', store, denyCache: false })
    const decisions = await Promise.all([
      limiter.consume('a', { cost: 8 }),
      limiter.consume('a', { cost: 5 }),
      limiter.consume('b'),
      limiter.consume('a'),
      limiter.consume('a'),
      limiter.consume('a'),
      limiter.refund('a', 4),
      limiter.consume('a', { cost: 4 }),
    ])
    expect(decisions.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
      [true, 2],
      [false, 2],
      [true, 9],
      [true, 1],
      [true, 0],
      [false, 0],
      [true, 4],
      [true, 0],
    ])
    await store.close()
  })

  it('L19: touches only keys that it declares', async () => {
    expect(SCRIPT.text.match(/\bwrite\((?!name\b|KEYS\[)/g)).toBeNull()
    expect(SCRIPT.text.match(/call\('(?!TIME)\w+', (?!KEYS\[|unpack\(KEYS\)|name\b)/g)).toBeNull()
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', 'resetkeys', '~spillway:*', '+@all')
    const client = connect(
      new Redis({ port: server.port, host: server.host, username: 'app', password: 'secret' }),
    )
    const store = redisStore(client)
    const limiter = new RateLimiter({ name: fresh(), limit: 2, window: '1h', store })
    expect(await limiter.consume('a')).toMatchObject({ source: 'redis', remaining: 1 })
    await store.close()
  })

  it('L43, L25: keys live until the bucket is full, and no longer', async () => {
    const client = connect(new Redis(server.port, server.host))
    const store = redisStore(client, { deadline: '20s' })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 100 }),
        fc.constantFrom('100ms' as const, '1s' as const, '1h' as const, '30d' as const, '3650d' as const),
        fc.integer({ min: 1, max: 100 }),
        async (limit, window, cost) => {
          const limiter = new RateLimiter({ name: fresh(), limit, window, store })
          const { resetAfter, allowed } = await limiter.consume('a', { cost: Math.min(cost, limit) })
          const left = await client.pttl(`spillway:{a}:${limiter.limits[0]!.name}`)
          expect(allowed).toBe(true)
          expect(left).toBeLessThanOrEqual(resetAfter + 1_000)
          // -2: it is full and gone already.
          if (window !== '100ms' && window !== '1s') expect(left).toBeGreaterThan(resetAfter - 20_000)
          else expect(left === -2 || left > 0).toBe(true)
        },
      ),
      { numRuns: 50 },
    )
    await store.close()
  })

  it('takes a bucket that something else has written over for a full one', async () => {
    const client = connect(new Redis(server.port, server.host))
    const store = redisStore(client)
    const limiter = new RateLimiter({ name: fresh(), limit: 2, window: '1h', store })
    const bucket = `spillway:{a}:${limiter.limits[0]!.name}`
    await client.set(bucket, 'nonsense')
    expect(await limiter.consume('a')).toMatchObject({ source: 'redis', remaining: 1 })
    await store.close()
  })

  it('L37: many processes at once admit exactly the limit', async () => {
    const name = fresh()
    const stores = Array.from({ length: 4 }, () => redisStore(connect(new Redis(server.port, server.host))))
    const decisions = await Promise.all(
      stores.flatMap((store) => {
        const limiter = new RateLimiter({ name, limit: 100, window: '30d', store })
        return Array.from({ length: 100 }, () => limiter.consume('a'))
      }),
    )
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(100)
    await Promise.all(stores.map((store) => store.close()))
  })

  it('leaves no listener on the client, and the client open', async () => {
    const client = connect(new Redis(server.port, server.host))
    const before = client.listenerCount('ready')
    const store = redisStore(client)
    expect(client.listenerCount('ready')).toBe(before + 1)
    await Promise.all([store.close(), store.close()])
    expect(client.listenerCount('ready')).toBe(before)
    expect(await client.ping()).toBe('PONG')
  })

  it('gives back what an aborted call took', async () => {
    const store = redisStore(connect(new Redis(server.port, server.host)))
    const limiter = new RateLimiter({ name: fresh(), limit: 10, window: '7d', store })
    const controller = new AbortController()
    const call = limiter.consume('a', { cost: 4, signal: controller.signal })
    controller.abort(new Error('gone'))
    await expect(call).rejects.toThrow('gone')
    await eventually(async () => expect((await limiter.peek('a')).remaining).toBe(10))
    await expect(limiter.consume('a', { signal: controller.signal })).rejects.toThrow('gone')
    await store.close()
  })

  it('refuses what is no client, and options it does not know', () => {
    expect(() => redisStore({} as RedisClient)).toThrow(
      expect.objectContaining({ code: 'ERR_LIMITER_OPTION' }),
    )
    const client = connect(new Redis(server.port, server.host))
    expect(() => redisStore(client, { prefix: 'a{b}' })).toThrow(/without braces/)
    expect(() => redisStore(client, { deadlin: 5 } as never)).toThrow(/did you mean "deadline"/)
  })
})
