import {
  type MemcachedServer,
  type RedisCluster,
  type RedisServer,
  startMemcached,
  startRedis,
  startRedisCluster,
} from '@spillway/testkit'
import { Cluster, Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  Cache,
  type CacheOptions,
  type CacheStore,
  type LoadContext,
  memcachedStore,
  memoryStore,
  redisStore,
} from '../src/index.js'
import { gatedLoader, tapped } from './load/waiting.js'

/** The bug cases that two nodes have with each other, on every store there is. */

let redis: RedisServer
let cluster: RedisCluster
let moving: RedisCluster
let memcached: MemcachedServer[]
const clients: (Redis | Cluster)[] = []

beforeAll(async () => {
  ;[redis, cluster, moving, ...memcached] = await Promise.all([
    startRedis(),
    startRedisCluster({ masters: 3 }),
    startRedisCluster({ masters: 3 }),
    startMemcached(),
    startMemcached(),
  ])
  await moveSlots(moving)
})
afterAll(async () => {
  for (const client of clients) client.disconnect()
  for (const server of [redis, cluster, moving, ...memcached]) await server[Symbol.asyncDispose]()
})

/** Puts all slots of one master on the move to another, and leaves them there: each is answered with ASK or by both. */
async function moveSlots(through: RedisCluster): Promise<void> {
  const [from, to] = await through.masters()
  const [source, target] = [new Redis(from!.url()), new Redis(to!.url())]
  const [sourceId, targetId] = await Promise.all([source, target].map((each) => each.cluster('MYID')))
  for (const [first, last, owner] of await source.cluster('SLOTS')) {
    if (owner?.[1] !== from!.port) continue
    for (let slot = first; slot <= last; slot++) {
      void target.cluster('SETSLOT', slot, 'IMPORTING', String(sourceId))
      void source.cluster('SETSLOT', slot, 'MIGRATING', String(targetId))
    }
  }
  await Promise.all([source.ping(), target.ping()])
  source.disconnect()
  target.disconnect()
}

function connected<Client extends Redis | Cluster>(client: Client): Client {
  client.on('error', () => {})
  clients.push(client)
  return client
}

const shared = memoryStore()

/** A store for one node. */
const STORES: [string, () => CacheStore][] = [
  ['memory', () => shared],
  ['Redis', () => redisStore(connected(new Redis(redis.url())))],
  ['a Redis Cluster of three', () => redisStore(connected(new Cluster(cluster.addresses)))],
  ['a Redis Cluster whose slots are moving', () => redisStore(connected(new Cluster(moving.addresses)))],
  ['two Memcached servers', () => memcachedStore(memcached.map((server) => server.url()))],
]

let names = 0

describe.each(STORES)('two nodes on %s', (kind, store) => {
  const DEADLINE = { timeout: 15_000 }
  const nodes = async (options: CacheOptions = {}, wrap = (inner: CacheStore) => inner) => {
    const name = `nodes${names++}`
    const make = () => new Cache({ name, storeTimeout: '10s', jitter: 0, store: wrap(store()), ...options })
    const both = [make(), make()] as const
    for (const cache of both) {
      await expect
        .poll(() => cache.stats().l2!.ready && cache.stats().l2!.busHealthy, DEADLINE)
        .not.toBe(false)
    }
    return both
  }
  /** Without a bus the other node looks at the store after a while only. */
  const AT_ONCE: CacheOptions = kind.includes('Memcached') ? { l1: false } : {}

  it.each(['delete', 'set', 'clear', 'deleteByTag'] as const)(
    'C3 C4 a %s on one wins over a load on the other',
    async (what) => {
      const [a, b] = await nodes(AT_ONCE)
      await using _a = a
      await using _b = b
      const old = gatedLoader<string>()
      const caller = a.getOrSet('k', old.load, { tags: ['t'] })
      await old.begun
      if (what === 'set') await b.set('k', 'set')
      else if (what === 'clear') await b.clear()
      else if (what === 'deleteByTag') await b.deleteByTag('t')
      else await b.delete('k')
      const joiner = b.getOrSet('k', () => 'new', { tags: ['t'] })
      const expected = what === 'set' ? 'set' : 'new'
      // Without a bus the old load does not hear of a tag or a clear, and holds its lease to its end.
      if (what === 'delete' || what === 'set' || a.stats().l2!.busHealthy) expect(await joiner).toBe(expected)
      old.finish('old')
      expect(await caller).toBe('old')
      expect(await joiner).toBe(expected)
      await expect.poll(() => a.getOrSet('k', () => 'newer', { tags: ['t'] }), DEADLINE).toBe(expected)
      expect(await b.getOrSet('k', () => 'newest', { tags: ['t'] })).toBe(expected)
    },
  )

  it('C5 tags that only the loader knows are fenced, too', async () => {
    const [a, b] = await nodes(AT_ONCE)
    await using _a = a
    await using _b = b
    const load = (value: string) => (context: LoadContext) => {
      context.setTags(['late'])
      return value
    }
    await a.getOrSet('other', load('x'))
    const old = gatedLoader<string>()
    const caller = a.getOrSet('k', (context) => {
      context.setTags(['late'])
      return old.load()
    })
    await old.begun
    await b.deleteByTag('late')
    old.finish('old')
    expect(await caller).toBe('old')
    expect(await b.getOrSet('k', load('new'))).toBe('new')
    // A tag that was invalidated a moment ago could have been invalidated during the load: only later ones are stored.
    const stored = async () => {
      await b.getOrSet('k', load('new'))
      return a.get('k')
    }
    await expect.poll(stored, DEADLINE).toBe('new')
    await b.deleteByTag('late')
    await expect.poll(() => a.get('k'), DEADLINE).toBe(undefined)
  })

  it('C7 what was invalidated is not served stale, what has expired is', async () => {
    const [a, b] = await nodes(AT_ONCE)
    await using _a = a
    await using _b = b
    const options = { ttl: 1, staleIfError: '1h', tags: ['t'] } as const
    const down = () => Promise.reject(new Error('down'))
    await a.set('k', 'old', options)
    await expect.poll(() => b.get('k'), DEADLINE).toBe(undefined)
    expect(await b.getOrSet('k', down, options)).toBe('old')
    await a.deleteByTag('t')
    await expect.poll(() => b.getOrSet('k', down, options).catch(String), DEADLINE).toBe('Error: down')
  })

  it('C2 one loads, the others wait and get its value', async () => {
    const [a, b] = await nodes()
    await using _a = a
    await using _b = b
    const { load, begun, finish, ...loader } = gatedLoader<number>()
    const first = a.getOrSet('k', load)
    await begun
    const others = Array.from({ length: 50 }, () => b.getOrSet('k', () => 2))
    await expect.poll(() => b.stats().leaseWaits, DEADLINE).toBeGreaterThan(0)
    finish(1)
    expect(await first).toBe(1)
    expect(new Set(await Promise.all(others))).toEqual(new Set([1]))
    expect([a.stats().loads, b.stats().loads, loader.runs]).toEqual([1, 0, 0])
  })

  it('C14 the lease is renewed while the loader runs, and freed when it fails', async () => {
    let renewals = 0
    const count = (name: string) => {
      if (name === 'renew') renewals++
    }
    const [a, b] = await nodes({ lease: 300 }, (inner) => tapped(inner, count))
    await using _a = a
    await using _b = b
    const { load, begun, fail } = gatedLoader<number>()
    const first = a.getOrSet('k', load)
    await begun
    const second = b.getOrSet('k', () => 2)
    await expect.poll(() => renewals, DEADLINE).toBeGreaterThan(6) // more than two leases long
    expect(b.stats().loads).toBe(0)
    fail(new Error('own'))
    await expect(first).rejects.toThrow('own')
    expect(await second).toBe(2)
  })

  it('C5 a tag invalidated during a background refresh wins', async () => {
    const [a, b] = await nodes({ ...AT_ONCE, swr: '1h', ttl: 1, tags: ['t'] })
    await using _a = a
    await using _b = b
    await a.set('k', 1)
    await expect.poll(() => a.get('k'), DEADLINE).toBe(undefined)
    const refresh = gatedLoader<number>()
    expect(await a.getOrSet('k', refresh.load)).toBe(1)
    await refresh.begun
    await b.deleteByTag('t')
    refresh.finish(2)
    await expect.poll(() => a.stats().inFlight, DEADLINE).toBe(0)
    const fresh = { ttl: '1m', swr: false } as const
    await expect.poll(() => a.getOrSet('k', () => 3, fresh), DEADLINE).toBe(3)
    expect(await b.getOrSet('k', () => 4, fresh)).toBe(3)
  })

  it('V1 V3 values keep their types on the way', async () => {
    const [a, b] = await nodes(AT_ONCE)
    await using _a = a
    await using _b = b
    const value = {
      ...{
        date: new Date(0),
        map: new Map([['a', 1]]),
        set: new Set([1]),
        big: 10n,
        nan: Number.NaN,
        none: undefined,
      },
      ...{ bytes: Buffer.from('b'), list: new Uint8Array([1]), minus: -0, deep: [{ date: new Date(1) }] },
    }
    await a.set('k', value)
    expect(await b.get('k')).toStrictEqual(value)
    for (const [i, falsy] of [null, 0, '', false].entries()) {
      await a.set(`falsy${i}`, falsy)
      expect(await b.getOrSet(`falsy${i}`, () => 'loaded')).toBe(falsy)
    }
  })

  it('D6 clear takes one namespace only', async () => {
    const [a, a2] = await nodes(AT_ONCE)
    const [b] = await nodes(AT_ONCE)
    await using _a = a
    await using _a2 = a2
    await using _b = b
    await Promise.all([a.set('k', 1), b.set('k', 2)])
    expect(await a2.get('k')).toBe(1)
    await a.clear()
    expect([await a.get('k'), await b.get('k')]).toEqual([undefined, 2])
    await expect.poll(() => a2.get('k'), DEADLINE).toBe(undefined)
  })
})
