import { type MemcachedServer, type RedisServer, startMemcached, startRedis } from '@spillway/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  Cache,
  type CacheOptions,
  type CacheStore,
  memcachedStore,
  redisStore,
  type Tier,
} from '../src/index.js'
import { ServerClock } from '../src/stores/server-clock.js'
import { gatedLoader, single } from './load/waiting.js'

/** The clocks of nodes differ; how long an entry lives is the store's to say. */

const MINUTES = 60_000
let redis: RedisServer
let memcached: MemcachedServer
const open: (() => unknown)[] = []

beforeAll(async () => {
  ;[redis, memcached] = await Promise.all([startRedis(), startMemcached()])
})
afterAll(async () => {
  for (const close of open.reverse()) await close()
  await redis?.[Symbol.asyncDispose]()
  await memcached?.[Symbol.asyncDispose]()
})

const STORES = {
  Redis() {
    const client = new Redis(redis.url())
    open.push(() => client.disconnect())
    return redisStore(client)
  },
  Memcached: () => memcachedStore(memcached.url()),
}

describe.each(Object.entries(STORES))('over %s, with clocks that differ', (kind, store) => {
  /** A node whose clock goes wrong by so many milliseconds. */
  const node = async (name: string, wrong: number, options: CacheOptions = {}) => {
    const clock = { now: () => Date.now() + wrong }
    const cache = new Cache({ name, clock, jitter: 0, l1: false, store: store(), ...options })
    open.push(() => cache.close())
    await cache.get('warm')
    await expect.poll(() => cache.stats().l2!.busHealthy, { timeout: 10_000 }).not.toBe(false)
    return cache
  }

  it.each([-10 * MINUTES, 10 * MINUTES])('by %i ms: a fresh entry is fresh for all', async (wrong) => {
    const name = `fresh${kind}${wrong}`
    const [right, other] = [await node(name, 0), await node(name, wrong)]
    await right.set('k', 1, { ttl: '1m' })
    await other.set('l', 1, { ttl: '1m' })
    expect([await other.get('k'), await right.get('l')]).toEqual([1, 1])
    expect(await other.getOrSet('k', () => 2)).toBe(1)
  })

  it.each([-10 * MINUTES, 10 * MINUTES])(
    'by %i ms: what has expired is not fresh for anybody',
    async (wrong) => {
      const name = `expired${kind}${wrong}`
      const [right, other] = [await node(name, 0), await node(name, wrong)]
      // It stays in the store for the sake of `staleIfError`: only its times tell that it has expired.
      const options = { ttl: 1, staleIfError: '1h' } as const
      await right.set('k', 'old', options)
      await other.set('l', 'old', options)
      await expect.poll(() => other.get('k'), { timeout: 10_000 }).toBe(undefined)
      await expect.poll(() => right.get('l'), { timeout: 10_000 }).toBe(undefined)
      const down = () => Promise.reject(new Error('down'))
      expect(await other.getOrSet('k', down, { staleIfError: '1h' })).toBe('old')
      expect(await right.getOrSet('l', down, { staleIfError: '1h' })).toBe('old')
    },
  )

  it('the first tier keeps an entry by its own clock, for as long as it has left', async () => {
    const name = `tier${kind}`
    const right = await node(name, 0)
    const other = await node(name, 10 * MINUTES, { l1: {} })
    await right.set('k', 1, { ttl: '1m' })
    // The message about the write may come after the first of these reads, and undo it.
    const held = async () => ((await other.get('k')) === 1 ? other.peek('k') : undefined)
    await expect.poll(held, { timeout: 10_000 }).toBe(1)
  })
})

describe.each(Object.entries(STORES))('the clock of %s is set forward during a load', (kind, store) => {
  it('and a tag of the loader that was invalidated here is fenced nevertheless', async () => {
    const hour = 60 * MINUTES
    const set: CacheStore = {
      kind,
      open(namespace) {
        const tier = single(store().open(namespace))
        const epochs = async (names: readonly string[]) =>
          (await tier.epochs(names)).map(({ value, age }) => ({ value, age: age + hour }))
        return new Proxy(tier, {
          get: (_, name) => (name === 'epochs' ? epochs : bound(tier, name as keyof Tier)),
        })
      },
    }
    const cache = new Cache({ name: `set${kind}`, l1: false, store: set })
    open.push(() => cache.close())
    const { load, begun, finish } = gatedLoader<string>()
    const caller = cache.getOrSet('k', (context) => {
      context.setTags(['late'])
      return load()
    })
    await begun
    await cache.deleteByTag('late')
    finish('old')
    expect(await caller).toBe('old')
    expect(await cache.get('k')).toBe(undefined)
  })
})

function bound(tier: Tier, name: keyof Tier): unknown {
  const value = tier[name]
  return typeof value === 'function' ? value.bind(tier) : value
}

describe('the clock of a server', () => {
  const MINUTE = 60_000
  const known = async (ask: () => Promise<number>, precision?: number) => {
    const clock = new ServerClock(ask, precision)
    clock.measure()
    await new Promise((resolve) => setImmediate(resolve))
    return clock.now() - Date.now()
  }

  it('is taken as it says', async () => {
    expect(Math.abs((await known(async () => Date.now() + 10 * MINUTE)) - 10 * MINUTE)).toBeLessThan(2_000)
    expect(Math.abs((await known(async () => Date.now() - 10 * MINUTE)) + 10 * MINUTE)).toBeLessThan(2_000)
  })

  it('is the clock here when it says no more than that, or nothing', async () => {
    const here = (difference: number) => expect(Math.abs(difference)).toBeLessThan(500)
    here(await known(async () => Date.now() + 1_000, 3_000))
    here(await known(() => Promise.reject(new Error('no answer'))))
    here(await known(() => new Promise(() => {})))
  })
})
