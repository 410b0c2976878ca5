import { setTimeout as sleep } from 'node:timers/promises'
import { eventually, type RedisServer, startRedis } from '@spillway/testkit'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  type LimitOptions,
  limiters,
  RateLimiter,
  type RateLimiterOptions,
  type RedisStore,
  redisStore,
} from '../../src/index.js'
import { quiet } from '../subjects.js'
import { fresh } from './contract.js'

let server: RedisServer
const clients: Redis[] = []
const cleanups: (() => unknown)[] = []

beforeAll(async () => {
  server = await startRedis()
})
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})
afterAll(async () => {
  for (const client of clients) client.disconnect()
  await server[Symbol.asyncDispose]()
})

function open(): RedisStore {
  const client = quiet(new Redis(server.port, server.host))
  clients.push(client)
  const store = redisStore(client, { deadline: '20s' })
  cleanups.push(() => store.close())
  return store
}

type Options = LimitOptions & Pick<RateLimiterOptions, 'denyCache' | 'lease' | 'onStoreFailure'>

function limiterOf(store: RedisStore, options: Options) {
  const limiter = new RateLimiter({ name: fresh(), ...options, store })
  cleanups.push(() => limiter.close())
  return limiter
}

describe('the cache of denials', () => {
  it('repeats a denial without asking, as the store would have said it', async () => {
    const store = open()
    const limiter = limiterOf(store, { limit: 5, window: '1h', denyCache: '1m' })
    await limiter.consume('a', { cost: 5 })
    const denied = await limiter.consume('a')
    const { calls } = store.stats()
    for (let i = 0; i < 100; i++) {
      const again = await limiter.consume('a')
      expect(again).toMatchObject({ allowed: false, source: 'cache', remaining: 0 })
      expect(again.retryAfter).toBeLessThanOrEqual(denied.retryAfter)
      expect(again.retryAfter).toBeGreaterThan(denied.retryAfter - 60_000)
    }
    expect((await limiter.consume('a', { cost: 3 })).source).toBe('cache')
    expect(store.stats().calls).toBe(calls)
    expect(limiter.stats().denied).toBe(102)
  })

  it('L40: sends on who asks for less, or by another limit, and after a refund or reset', async () => {
    const limiter = limiterOf(open(), { limit: 10, window: '1h', denyCache: '1m' })
    await limiter.consume('a', { cost: 8 })
    expect((await limiter.consume('a', { cost: 5 })).source).toBe('redis')
    expect((await limiter.consume('a', { cost: 2 })).allowed).toBe(true)
    expect((await limiter.consume('a')).source).toBe('redis')
    expect((await limiter.consume('a')).source).toBe('cache')
    const gold = { limit: 100, window: '1h' } as const
    expect(await limiter.consume('a', { limit: gold })).toMatchObject({ source: 'redis', allowed: true })
    await limiter.refund('a', 3)
    expect((await limiter.consume('a')).allowed).toBe(true)
    await limiter.consume('a', { cost: 10 })
    await limiter.reset('a')
    expect((await limiter.consume('a', { cost: 10 })).allowed).toBe(true)
  })

  it('never denies what the store would allow', async () => {
    const store = open()
    const limiter = limiterOf(store, { limit: 1, window: '30ms', denyCache: '1h' })
    for (let i = 0; i < 15; i++) {
      const { allowed, retryAfter } = await limiter.consume('a')
      if (allowed) continue
      await sleep(retryAfter + 2) // a timer may fire a little early
      const next = await limiter.consume('a')
      if (!next.allowed) expect(next.source).toBe('redis')
    }
  })

  it('is off with false', async () => {
    const limiter = limiterOf(open(), { limit: 1, window: '1h', denyCache: false })
    for (const source of ['redis', 'redis', 'redis']) {
      expect((await limiter.consume('a')).source).toBe(source)
    }
  })
})

describe('leases', () => {
  const lease = { max: 16, idle: '1h' } as const

  it('L47: many nodes admit no more than the limit in the long run, whatever they hold', async () => {
    const options = {
      name: fresh(),
      capacity: 1_000,
      refill: { tokens: 0, per: '1s' },
      denyCache: false,
      lease,
    } as const
    const nodes = Array.from({ length: 4 }, () => limiterOf(open(), options))
    let admitted = 0
    for (let round = 0; round < 40; round++) {
      const decisions = await Promise.all(
        nodes.flatMap((node) => Array.from({ length: 10 }, () => node.consume('a'))),
      )
      admitted += decisions.filter(({ allowed }) => allowed).length
    }
    // What is missing lies in leases; it was paid for.
    expect(admitted).toBeLessThanOrEqual(1_000)
    expect(admitted).toBeGreaterThanOrEqual(1_000 - 4 * lease.max)
    const sum = nodes.reduce((total, node) => total + node.stats().allowed, 0)
    expect(sum).toBe(admitted)
  })

  it('L47: in a burst at most the leases come on top', async () => {
    const store = open()
    const name = fresh()
    const holder = limiterOf(store, { name, capacity: 400, refill: { tokens: 200, per: '1h' }, lease })
    for (let i = 0; i < 40; i++) await holder.consume('a')
    const other = limiterOf(open(), {
      name,
      capacity: 400,
      refill: { tokens: 200, per: '1h' },
      denyCache: false,
    })
    await other.reset('a') // as if the bucket had become full while the lease was held
    let admitted = 0
    while ((await other.consume('a')).allowed) admitted++
    for (let i = 0; i < 100; i++) if ((await holder.consume('a')).allowed) admitted++
    expect(admitted).toBeLessThanOrEqual(400 + lease.max + 1)
    expect(admitted).toBeGreaterThan(400)
  })

  it('L47: a lease on several limits is paid for in each', async () => {
    const names = [fresh('burst'), fresh('day')]
    const capacities = [300, 500]
    const limitersOf = (store: RedisStore, withLease: boolean) =>
      names.map((name, i) =>
        limiterOf(store, {
          name,
          capacity: capacities[i]!,
          refill: { tokens: 0, per: '1s' },
          denyCache: false,
          lease: withLease && lease,
        }),
      )
    const nodes = [1, 2].map(() => limiters.all(limitersOf(open(), true)))
    cleanups.push(() => Promise.all(nodes.map((node) => node.close())))
    const sources = new Set<string>()
    let admitted = 0
    for (let i = 0; i < 400; i++) {
      const { allowed, source, parts } = await nodes[i % 2]!.consume('a')
      if (allowed) admitted++
      sources.add(source)
      expect(parts).toHaveLength(2)
    }
    expect(sources).toContain('lease')
    expect(admitted).toBeLessThanOrEqual(300)
    expect(admitted).toBeGreaterThanOrEqual(300 - 2 * lease.max)
    await Promise.all(nodes.map((node) => node.close()))
    const [burst, day] = await Promise.all(
      limitersOf(open(), false).map((reader) => reader.peek('a', { cost: 0 })),
    )
    expect(300 - burst!.remaining).toBe(admitted)
    expect(500 - day!.remaining).toBe(admitted)
  })

  it('needs far fewer calls for a busy key, and none more for a quiet one', async () => {
    const store = open()
    const limiter = limiterOf(store, { limit: 100_000, window: '1d', lease: { max: 64, idle: '1h' } })
    const sources: string[] = []
    for (let i = 0; i < 1_000; i++) sources.push((await limiter.consume('busy')).source)
    expect(store.stats().calls).toBeLessThan(40)
    expect(sources[0]).toBe('redis')
    expect(sources.filter((source) => source === 'lease').length).toBeGreaterThan(950)
    const { calls } = store.stats()
    for (let i = 0; i < 50; i++) await limiter.consume(`quiet${i}`)
    expect(store.stats().calls).toBe(calls + 50)
    expect((await limiter.peek('quiet1')).remaining).toBe(99_999)
  })

  it('serves those who wait for a lease in order, and sends the rest to the store', async () => {
    const limiter = limiterOf(open(), { limit: 100, window: '30d', lease, denyCache: false })
    const decisions = await Promise.all(Array.from({ length: 150 }, () => limiter.consume('a')))
    expect(decisions.filter(({ allowed }) => allowed).length).toBeLessThanOrEqual(100)
    expect(decisions.filter(({ allowed }) => allowed).length).toBeGreaterThanOrEqual(100 - lease.max)
    expect(decisions[0]!.allowed).toBe(true)
  })

  it('gives back what lies idle, and everything on close', async () => {
    const store = open()
    const name = fresh()
    const idle = limiterOf(store, { name, limit: 1_000, window: '30d', lease: { max: 16, idle: '20ms' } })
    for (let i = 0; i < 40; i++) await idle.consume('a')
    await eventually(async () => expect((await idle.peek('a', { cost: 0 })).remaining).toBe(960))
    const closing = limiterOf(store, { name: fresh(), limit: 1_000, window: '30d', lease })
    for (let i = 0; i < 40; i++) await closing.consume('a')
    expect((await closing.peek('a', { cost: 0 })).remaining).toBeLessThan(960)
    await closing.close()
    const reader = limiterOf(store, { name: closing.limits[0]!.name, limit: 1_000, window: '30d' })
    expect((await reader.peek('a', { cost: 0 })).remaining).toBe(960)
  })

  it('goes on from the lease while Redis is away', async () => {
    const own = await startRedis()
    cleanups.push(() => own[Symbol.asyncDispose]())
    const client = quiet(new Redis({ port: own.port, host: own.host, retryStrategy: () => 25 }))
    cleanups.push(() => client.disconnect())
    const store = redisStore(client, { deadline: 300 })
    cleanups.push(() => store.close())
    const limiter = limiterOf(store, { limit: 1_000, window: '30d', lease, onStoreFailure: 'deny' })
    for (let i = 0; i < 33; i++) await limiter.consume('a')
    await own.kill()
    const sources: string[] = []
    for (let i = 0; i < 20; i++) sources.push((await limiter.consume('a')).source)
    expect(new Set(sources)).toEqual(new Set(['lease', 'fallback']))
    expect(sources.lastIndexOf('lease')).toBeLessThan(sources.indexOf('fallback'))
  })
})
