import { type RedisServer, startRedis } from '@spillway/testkit'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { channels } from '../src/channels.js'
import { Cache, type CacheOptions, memoryStore, redisStore } from '../src/index.js'
import { heardOn } from './channel-ear.js'
import { gatedLoader, manualClock } from './load/waiting.js'
import { brokenStore } from './stores/stores.js'

/** Each channel that the reference lists is published, with the fields that it lists and no others. */

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

function made(options: CacheOptions = {}): Cache {
  const cache = new Cache({ name: 'app', jitter: 0, ...options })
  open.push(() => cache.close())
  return cache
}

const inStore = (options: CacheOptions = {}) => made({ store: memoryStore(), l1: false, ...options })

describe('spillway:cache:', () => {
  it('hit, of each tier, fresh and stale', async () => {
    const clock = manualClock()
    using heard = heardOn(channels.hit)
    const memory = made({ clock, ttl: 10, swr: 10 })
    await memory.set('k', 1)
    await memory.getOrSet('k', () => 2)
    memory.peek('k')
    clock.advance(15)
    await memory.getOrSet('k', () => 2)
    const store = inStore()
    await store.set('k', 1)
    await store.getOrSet('k', () => 2)
    await store.get('k')
    expect(heard.messages).toEqual([
      { cache: 'app', tier: 'l1', stale: false },
      { cache: 'app', tier: 'l1', stale: false },
      { cache: 'app', tier: 'l1', stale: true },
      { cache: 'app', tier: 'l2', stale: false },
      { cache: 'app', tier: 'l2', stale: false },
    ])
  })

  it('miss, of a look and of a load', async () => {
    using heard = heardOn(channels.miss)
    const cache = inStore()
    await cache.get('k')
    await cache.getOrSet('k', () => 1)
    expect(heard.messages).toEqual([{ cache: 'app' }, { cache: 'app' }])
  })

  it('load, good and bad, in front and behind', async () => {
    const clock = manualClock()
    using heard = heardOn(channels.load)
    const cache = made({ clock, ttl: 10, swr: 100 })
    await cache.getOrSet('k', () => 1)
    await cache.getOrSet('bad', () => Promise.reject(new Error('bad'))).catch(() => {})
    clock.advance(15)
    await cache.getOrSet('k', () => 2)
    await expect.poll(() => cache.stats().inFlight).toBe(0)
    const message = { cache: 'app', milliseconds: expect.any(Number), ok: true, background: false }
    expect(heard.messages).toEqual([message, { ...message, ok: false }, { ...message, background: true }])
  })

  it('stale: revalidate, error, slow, lease', async () => {
    const clock = manualClock()
    using heard = heardOn(channels.stale)
    const store = memoryStore({ clock })
    const [a, b] = [inStore({ clock, store, ttl: 10 }), inStore({ clock, store, ttl: 10 })]
    const fail = () => Promise.reject(new Error('down'))
    const stored = { swr: 1_000, staleIfError: 1_000 }
    for (const key of ['revalidate', 'error', 'slow', 'lease']) await a.set(key, key, stored)
    clock.advance(15)
    await a.getOrSet('revalidate', () => 'new', { swr: 1_000 })
    await a.getOrSet('error', fail, { staleIfError: 1_000 })
    const slow = gatedLoader<string>()
    await a.getOrSet('slow', slow.load, { staleIfError: 1_000, softTimeout: 5 })
    slow.finish('new')
    const loading = gatedLoader<string>()
    const loader = a.getOrSet('lease', loading.load, { staleIfError: 1_000 })
    await loading.begun
    await b.getOrSet('lease', () => 'other', { staleIfError: 1_000 })
    loading.finish('new')
    await loader
    expect(heard.messages).toEqual(
      ['revalidate', 'error', 'slow', 'lease'].map((reason) => ({ cache: 'app', reason })),
    )
  })

  it('lease: acquired, busy, lost, voided', async () => {
    using heard = heardOn(channels.lease)
    const store = memoryStore()
    const [a, b] = [inStore({ store, lease: 30 }), inStore({ store, lease: 30 })]
    const first = gatedLoader<number>()
    const one = a.getOrSet('k', first.load)
    await first.begun
    const two = b.getOrSet('k', () => 2)
    await expect.poll(() => b.stats().leaseWaits).toBeGreaterThan(0)
    first.finish(1)
    await Promise.all([one, two])
    const second = gatedLoader<number>()
    const voided = a.getOrSet('voided', second.load)
    await second.begun
    await b.delete('voided')
    // It finds that out when it wants to renew the lease, and once more when it wants to write.
    await expect.poll(() => heard.messages.map(({ event }) => event)).toContain('lost')
    second.finish(1)
    await voided
    const events = heard.messages.map(({ event }) => event)
    expect(new Set(events)).toEqual(new Set(['acquired', 'busy', 'lost', 'voided']))
    expect(heard.messages[0]).toEqual({ cache: 'app', event: 'acquired' })
  })

  it('invalidate: key, tag, all', async () => {
    using heard = heardOn(channels.invalidate)
    const cache = inStore()
    await cache.delete('k')
    await cache.deleteMany(['a', 'b'])
    await cache.deleteByTag(['s', 't'])
    await cache.clear()
    expect(heard.messages).toEqual([
      { cache: 'app', what: 'key', count: 1, queued: false },
      { cache: 'app', what: 'key', count: 2, queued: false },
      { cache: 'app', what: 'tag', count: 2, queued: false },
      { cache: 'app', what: 'all', count: 1, queued: false },
    ])
  })

  it('reject: uncacheable, oversize, store', async () => {
    using heard = heardOn(channels.reject)
    await made().getOrSet('k', () => () => {})
    await inStore({ maxValueBytes: 10 }).getOrSet('k', () => 'x'.repeat(20))
    await inStore({ store: brokenStore() }).get('k')
    expect(heard.messages).toEqual(
      ['uncacheable', 'oversize', 'store'].map((reason) => ({
        cache: 'app',
        reason,
        error: expect.any(Error),
      })),
    )
  })
})

describe('when the server goes away', () => {
  let redis: RedisServer

  it('breaker, gap and a queued invalidate are told', async () => {
    redis = await startRedis()
    open.push(() => redis[Symbol.asyncDispose]())
    const client = new Redis({ host: redis.host, port: redis.port, retryStrategy: () => 50 })
    client.on('error', () => {})
    open.push(() => client.disconnect())
    const cache = made({ store: redisStore(client), storeTimeout: 50, l1: false })
    using gaps = heardOn(channels.gap)
    using breakers = heardOn(channels.breaker)
    using invalidations = heardOn(channels.invalidate)
    await expect.poll(() => gaps.messages, { timeout: 10_000 }).toEqual([{ cache: 'app', healed: true }])
    await redis.pause()
    for (let i = 0; i < 5; i++) await cache.get(`k${i}`)
    expect(breakers.messages).toEqual([{ cache: 'app', open: true }])
    await cache.delete('k')
    expect(invalidations.messages).toEqual([{ cache: 'app', what: 'key', count: 1, queued: true }])
    await expect
      .poll(() => gaps.messages.at(-1), { timeout: 10_000 })
      .toEqual({ cache: 'app', healed: false })
    await redis.resume()
    await expect
      .poll(() => breakers.messages.at(-1), { timeout: 10_000 })
      .toEqual({ cache: 'app', open: false })
    await expect.poll(() => gaps.messages.at(-1), { timeout: 10_000 }).toEqual({ cache: 'app', healed: true })
  })
})
