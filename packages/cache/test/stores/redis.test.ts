import { once } from 'node:events'
import { type App, type RedisServer, spawnApp, startRedis, startRedisCluster } from '@spillway/testkit'
import { Cluster, Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Cache, type CacheOptions, redisStore } from '../../src/index.js'
import { gatedLoader } from '../load/waiting.js'

let redis: RedisServer
const clients: { disconnect(): void }[] = []
const caches: Cache[] = []
let names = 0

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => {
  for (const cache of caches) await cache.close()
  for (const client of clients) client.disconnect()
  await redis?.[Symbol.asyncDispose]()
})

function connect(url = redis.url()): Redis {
  const client = new Redis(url)
  client.on('error', () => {})
  clients.push(client)
  return client
}

function node(options: CacheOptions = {}, client = connect()): Cache {
  const cache = new Cache({ store: redisStore(client), ...options })
  caches.push(cache)
  return cache
}

async function pair(options: CacheOptions = {}): Promise<[Cache, Cache]> {
  const name = `pair${names++}`
  const both: [Cache, Cache] = [node({ name, ...options }), node({ name, ...options })]
  for (const cache of both)
    await expect.poll(() => cache.stats().l2?.busHealthy, { timeout: 10_000 }).toBe(true)
  return both
}

describe('many processes', () => {
  const apps: App[] = []
  const start = async (lease: number) => {
    const app = spawnApp(new URL('../fixtures/loader.mjs', import.meta.url), {
      args: [redis.url(), String(lease)],
      ipc: true,
    })
    apps.push(app)
    await app.waitForMessage((message): message is object => 'ready' in (message as object))
    return app
  }
  interface Done {
    readonly done: string
    readonly runs: number
    readonly by: readonly number[]
  }
  const done = (app: App, key: string) =>
    app.waitForMessage((message): message is Done => (message as Partial<Done>).done === key)
  afterAll(async () => {
    for (const app of apps) await app[Symbol.asyncDispose]()
  })

  it('C2 four with 250 callers each load once', async () => {
    const four = await Promise.all([1, 2, 3, 4].map(() => start(10_000)))
    for (const key of ['a', 'b', 'c']) {
      for (const app of four) app.send({ key, callers: 250 })
      const results = await Promise.all(four.map((app) => done(app, key)))
      expect(new Set(results.flatMap(({ by }) => by)).size).toBe(1)
    }
    const total = four.map((app) => app.messages.findLast((message) => 'runs' in (message as object)) as Done)
    expect(total.reduce((sum, { runs }) => sum + runs, 0)).toBe(3)
  })

  it('C14 when the one that loads is killed, another takes over', async () => {
    const [one, two] = await Promise.all([start(300), start(300)])
    one!.send({ key: 'taken over', callers: 1, hang: true })
    await one!.waitForMessage((message): message is object => 'loading' in (message as object))
    two!.send({ key: 'taken over', callers: 10 })
    one!.kill('SIGKILL')
    const { by, runs } = await done(two!, 'taken over')
    expect([by, runs]).toEqual([[two!.pid], 1])
  })
})

describe('two nodes', () => {
  it('D4 the other node sees a write, a delete, a tag and a clear without waiting for any ttl', async () => {
    const [a, b] = await pair({ tags: ['t'] })
    await a.set('k', 1)
    expect(await b.get('k')).toBe(1)
    await a.set('k', 2)
    await expect.poll(() => b.getOrSet('k', () => 0)).toBe(2)
    await a.delete('k')
    await expect.poll(() => b.get('k')).toBe(undefined)
    for (const invalidate of [() => a.deleteByTag('t'), () => a.clear()]) {
      await b.set('k', 3)
      await invalidate()
      await expect.poll(() => b.get('k')).toBe(undefined)
    }
  })

  it('D5 a gap in the bus: what was held before is compared with the store', async () => {
    const [a, b] = await pair()
    await a.set('k', 'old')
    await a.set('same', 'same')
    expect(await b.getMany(['k', 'same'])).toEqual(['old', 'same'])
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await a.set('k', 'new')
    await expect.poll(() => b.stats().l2?.busHealthy, { timeout: 10_000 }).toBe(true)
    expect(await b.getOrSet('k', () => 'loaded')).toBe('new')
    expect(await b.getOrSet('same', () => 'loaded')).toBe('same')
  })

  it('D6 D7 never sends KEYS, SCAN or FLUSH', async () => {
    const [a, b] = await pair()
    const monitor = await connect().monitor()
    clients.push(monitor)
    const seen = new Set<string>()
    monitor.on('monitor', (_time: string, args: string[]) => seen.add(args[0]!.toLowerCase()))
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => a.getOrSet(`k${i}`, () => i, { tags: ['t', `t${i}`] })),
    )
    await b.getMany(['k1', 'k2'])
    await b.deleteMany(['k1', 'k2'])
    await a.deleteByTag(['t', 't1'])
    await a.clear()
    await a.set('last', 1)
    await connect().echo('over')
    await expect.poll(() => seen.has('echo'), { timeout: 10_000 }).toBe(true)
    expect([...seen].filter((name) => /keys|scan|flush|sort|smembers/.test(name))).toEqual([])
    expect(seen).toContain('evalsha')
  })

  it('D10 tags take one key each, however many entries have them', async () => {
    const [a] = await pair()
    const raw = connect()
    const keys = async () => (await raw.keys(`${a.name}:*`)).filter((key) => key.includes(':epoch:'))
    for (let i = 0; i < 200; i++) await a.set(`k${i}`, i, { tags: ['everywhere'] })
    expect((await keys()).length).toBe(2) // the namespace's, and the tag's
    await a.deleteByTag('everywhere')
    expect((await keys()).length).toBe(2)
    expect(await a.get('k0')).toBe(undefined)
  })

  it('a hit is one command, and hits of one turn share a few', async () => {
    const own = await startRedis()
    try {
      const client = connect(own.url())
      const cache = node({ l1: false, store: redisStore(client, { bus: false }) })
      const keys = Array.from({ length: 50 }, (_, i) => `k${i}`)
      for (const key of keys) await cache.set(key, key, { tags: ['t'] })
      const get = (key: string) => cache.getOrSet(key, () => 'loaded', { tags: ['t'] })
      const sent = async () => {
        const stats = await own.command('INFO', 'commandstats')
        const counts = [...String(stats).matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, calls]) => [
          name,
          Number(calls),
        ])
        return Object.fromEntries(
          counts.filter(([name]) => !['info', 'hello', 'client'].includes(String(name))),
        )
      }
      await own.command('CONFIG', 'RESETSTAT')
      for (const key of keys.slice(0, 5)) expect(await get(key)).toBe(key)
      expect(await sent()).toEqual({ mget: 5 })
      expect(await Promise.all(keys.map(get))).toEqual(keys)
      expect(await sent()).toEqual({ mget: 5 + 4 }) // up to sixteen each
      const large = 'x'.repeat(20_000)
      for (const key of keys) await cache.set(key, large, { tags: ['t'] })
      expect(await get('k0')).toBe(large)
      await own.command('CONFIG', 'RESETSTAT')
      // Three replies of 20 kB fill the 64 kB that are read at once; this process works on those while Redis sends more.
      expect(await Promise.all(keys.map(get))).toEqual(keys.map(() => large))
      expect(await sent()).toEqual({ mget: 17 })
    } finally {
      await own[Symbol.asyncDispose]()
    }
  })

  it('an evicted tag or namespace makes misses, and brings nothing back', async () => {
    const [a, b] = await pair({ l1: false })
    const raw = connect()
    await a.set('k', 'old', { tags: ['t'] })
    await a.deleteByTag('t')
    await raw.del(`${a.name}:epoch:%23t`)
    expect(await b.get('k')).toBe(undefined)
    await a.set('k', 'new', { tags: ['t'] })
    await raw.del(`${a.name}:epoch:all`)
    expect(await b.get('k')).toBe(undefined)
    expect(await b.getOrSet('k', () => 'newer', { tags: ['t'] })).toBe('newer')
    expect(await a.get('k')).toBe('newer')
  })

  it.each(['garbage', 'a compressed bomb', 'a later version', 'a list'])(
    'takes %s for a miss, tells of it, and heals',
    async (what) => {
      const [a] = await pair({ l1: false })
      const raw = connect()
      const key = `${a.name}:entry:k`
      await a.set('k', { n: 1 })
      const good = (await raw.getBuffer(key))!
      if (what === 'garbage') await raw.set(key, 'garbage')
      else if (what === 'a later version') {
        good[1] = 99
        await raw.set(key, good)
      } else if (what === 'a compressed bomb') {
        good[3] = 1
        await raw.set(key, good)
      } else {
        await raw.del(key)
        await raw.rpush(key, 'a')
      }
      expect(await a.get('k')).toBe(undefined)
      expect(await a.getOrSet('k', () => ({ n: 2 }))).toEqual({ n: 2 })
      if (what !== 'a list') expect(await a.get('k')).toEqual({ n: 2 })
    },
  )

  it('V4 the store’s own expiry says what ttl says', async () => {
    const [a] = await pair({ jitter: 0 })
    const raw = connect()
    await a.set('k', 1, { ttl: '50s' })
    const left = await raw.pttl(`${a.name}:entry:k`)
    expect(left).toBeGreaterThan(47_500)
    expect(left).toBeLessThanOrEqual(50_000)
    await a.set('k', 1, { ttl: '50s', staleIfError: '50s' })
    expect(await raw.pttl(`${a.name}:entry:k`)).toBeGreaterThan(95_000)
  })

  it('compresses what is large, and reads it everywhere', async () => {
    const name = `pair${names++}`
    const [a, b] = [node({ name, compressAbove: '1kb', l1: false }), node({ name, l1: false })]
    await a.set('k', 'x'.repeat(50_000))
    expect(await connect().strlen(`${name}:entry:k`)).toBeLessThan(2_000)
    expect(await b.get<string>('k')).toHaveLength(50_000)
  })

  it('works over ioredis 5 and 6 side by side', async () => {
    const five = new Redis5(redis.url())
    clients.push(five)
    const name = `pair${names++}`
    const a = new Cache({ name, store: redisStore(five) })
    caches.push(a)
    const b = node({ name })
    await expect
      .poll(() => a.stats().l2?.busHealthy && b.stats().l2?.busHealthy, { timeout: 10_000 })
      .toBe(true)
    await a.set('k', 1)
    expect(await b.get('k')).toBe(1)
    await b.delete('k')
    await expect.poll(() => a.get('k')).toBe(undefined)
  })

  it('a lazy client is connected by the cache', async () => {
    const lazy = new Redis(redis.url(), { lazyConnect: true })
    clients.push(lazy)
    const cache = node({ name: `pair${names++}` }, lazy)
    expect(await cache.getOrSet('k', () => 1)).toBe(1)
    expect(await node({ name: cache.name }).get('k')).toBe(1)
  })
})

describe('a cluster', () => {
  it('D9 hundreds of keys and tags over three nodes, also while slots move', async () => {
    const cluster = await startRedisCluster({ masters: 3 })
    const [one, two] = [new Cluster(cluster.addresses), new Cluster(cluster.addresses)]
    const options = { name: 'clustered', storeTimeout: '5s' as const }
    const a = new Cache({ ...options, store: redisStore(one) })
    const b = new Cache({ ...options, store: redisStore(two) })
    try {
      for (const client of [one, two]) if (client.status !== 'ready') await once(client, 'ready')
      await expect.poll(() => b.stats().l2?.busHealthy, { timeout: 10_000 }).toBe(true)
      const keys = Array.from({ length: 100 }, (_, i) => `key ${i}`)
      const round = async (text: string) => {
        await Promise.all(keys.map((key, i) => a.getOrSet(key, () => text + i, { tags: ['t', `t${i}`] })))
        expect(await b.getMany(keys)).toEqual(keys.map((_, i) => text + i))
        await b.deleteByTag('t7')
        await expect.poll(() => a.get('key 7')).toBe(undefined)
        await a.deleteMany(keys)
        await expect.poll(() => b.getMany(keys)).toEqual(keys.map(() => undefined))
        await Promise.all(keys.map((key) => b.set(key, text, { tags: ['t'] })))
        await b.deleteByTag('t')
        await expect.poll(() => a.getMany(keys)).toEqual(keys.map(() => undefined))
      }
      await round('still')
      const [from, to] = await cluster.masters()
      const [source, target] = [connect(from!.url()), connect(to!.url())]
      const [sourceId, targetId] = await Promise.all([source, target].map((each) => each.cluster('MYID')))
      const slots = await Promise.all(
        keys.map((key) => source.cluster('KEYSLOT', `clustered:entry:${key.replace(' ', '%20')}`)),
      )
      const owned = await source.cluster('SLOTS')
      const moving = slots.filter((slot) =>
        owned.some(([first, last, node]) => node?.[1] === from!.port && slot >= first && slot <= last),
      )
      expect(moving.length).toBeGreaterThan(5)
      for (const slot of moving) {
        await target.cluster('SETSLOT', slot, 'IMPORTING', String(sourceId))
        await source.cluster('SETSLOT', slot, 'MIGRATING', String(targetId))
      }
      await round('moving')
      for (const cache of [a, b])
        expect(cache.stats().l2).toMatchObject({ breakerOpen: false, queuedInvalidations: 0 })
    } finally {
      await Promise.all([a.close(), b.close()])
      one.disconnect()
      two.disconnect()
      await cluster[Symbol.asyncDispose]()
    }
  })
})

it('C3 a delete by another process during a load wins in Redis, too', async () => {
  const [a, b] = await pair()
  const old = gatedLoader<string>()
  const caller = a.getOrSet('k', old.load)
  await old.begun
  await b.delete('k')
  old.finish('old')
  expect(await caller).toBe('old')
  expect(await b.getOrSet('k', () => 'new')).toBe('new')
  await expect.poll(() => a.getOrSet('k', () => 'newer')).toBe('new')
})
