import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { withoutUnhandled } from '@spillway/kit/testing'
import { type FaultProxy, type RedisServer, startProxy, startRedis } from '@spillway/testkit'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Cache, type CacheOptions, redisStore } from '../src/index.js'

/**
 * What happens when the store is away. Each fault is real; in each, callers get loaded values and keep what the first
 * tier has, and the store is used again when it is back.
 */

let redis: RedisServer
let proxy: FaultProxy
const open: (() => unknown)[] = []

beforeEach(async () => {
  redis = await startRedis()
  proxy = await startProxy({ target: redis })
})
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  await proxy[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
})

async function connected(
  options: CacheOptions = {},
  through: { host: string; port: number } = redis,
): Promise<Cache> {
  const client = new Redis({
    host: through.host,
    port: through.port,
    retryStrategy: () => 50,
    connectTimeout: 1_000,
  })
  client.on('error', () => {})
  open.push(() => client.disconnect())
  const cache = new Cache({ store: redisStore(client), storeTimeout: 100, ...options })
  open.push(() => cache.close())
  await expect.poll(() => cache.stats().l2?.busHealthy, { timeout: 10_000 }).toBe(true)
  return cache
}

const back = (cache: Cache) =>
  expect
    .poll(() => cache.stats().l2, { timeout: 10_000 })
    .toMatchObject({ ready: true, breakerOpen: false, queuedInvalidations: 0 })

/** What was swallowed is lost, and with it the order of replies: such a connection must go. */
async function reopen(): Promise<void> {
  await proxy.pass()
  proxy.dropConnections()
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapInUse(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

interface Fault {
  readonly name: string
  readonly begin: () => Promise<unknown> | unknown
  readonly end: () => Promise<unknown> | unknown
  readonly loses?: boolean
}

const FAULTS: Fault[] = [
  { name: 'killed (SIGKILL)', begin: () => redis.kill(), end: () => redis.start(), loses: true },
  { name: 'stopped (SIGSTOP)', begin: () => redis.pause(), end: () => redis.resume() },
  {
    name: 'silent (a proxy that swallows bytes)',
    begin: () => proxy.stall(),
    end: reopen,
  },
]

describe.each(FAULTS)('D1 the server is $name', ({ begin, end }) => {
  it('callers get their values, at once after the first ones; the store is used again afterwards', () =>
    withoutUnhandled(async () => {
      const cache = await connected({}, proxy)
      await cache.set('held', 'held')
      await begin()
      for (let i = 0; i < 12; i++) expect(await cache.getOrSet(`during ${i}`, () => i)).toBe(i)
      const before = cache.stats().l2!.timeouts
      for (let i = 0; i < 500; i++) expect(await cache.getOrSet(`more ${i}`, () => i)).toBe(i)
      // At the speed of loaders: hardly any of them waited for the store (a probe may).
      expect(cache.stats().l2!.timeouts - before).toBeLessThanOrEqual(5)
      expect(await cache.getOrSet('held', () => 'loaded')).toBe('held')
      expect(await cache.getOrSet('during 3', () => 'loaded')).toBe(3)
      await end()
      await back(cache)
      await cache.set('after', 1)
      const other = await connected({}, redis)
      expect(await other.get('after')).toBe(1)
    }))
})

it('D1 this process standing still is no outage of the store', async () => {
  const cache = await connected({ l1: false })
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`)
  for (const key of keys) await cache.set(key, key)
  const got = keys.map((key) => cache.getOrSet(key, () => 'loaded'))
  // The reads leave, and their answers come while the event loop is blocked.
  process.nextTick(() => {
    const end = performance.now() + 300
    while (performance.now() < end);
  })
  expect(await Promise.all(got)).toEqual(keys)
  expect(cache.stats().l2).toMatchObject({ timeouts: 0, breakerOpen: false })
})

it('D2 a hundred thousand calls in an outage leave nothing behind, and it is over soon after', async () => {
  const cache = await connected({ l1: { maxBytes: '1mb' } })
  await redis.pause()
  for (let i = 0; i < 10_000; i++) await cache.getOrSet(`k${i}`, () => i)
  const before = heapInUse()
  for (let i = 0; i < 100_000; i++) await cache.getOrSet(`k${i % 20_000}`, () => i)
  expect(heapInUse() - before).toBeLessThan(20 * 1024 ** 2)
  expect(cache.stats().l2!.pending).toBeLessThan(50)
  await expect.poll(() => cache.stats().inFlight).toBe(0)
  await redis.resume()
  const resumed = performance.now()
  await back(cache)
  // It asks at least every second; the rest is for a slow machine.
  expect(performance.now() - resumed).toBeLessThan(5_000)
}, 120_000)

it('D3 one failure among many does not open the breaker', async () => {
  const cache = await connected({ l1: false }, proxy)
  for (let i = 0; i < 20; i++) await cache.getOrSet(`k${i}`, () => i)
  await proxy.stall()
  expect(await cache.getOrSet('one', () => 1)).toBe(1)
  await reopen()
  expect(cache.stats().l2!.breakerOpen).toBe(false)
  await back(cache)
})

describe.each(FAULTS)('D12 invalidations while the server is $name', ({ begin, end, loses }) => {
  it('are made up for before the store is believed again', async () => {
    const a = await connected({}, proxy)
    const b = await connected({ l1: false })
    const options = { tags: ['t'] }
    await a.set('deleted', 'old')
    await a.set('tagged', 'old', options)
    await a.set('set', 'old')
    await a.set('kept', 'kept')
    if (loses) await redis.command('SAVE')
    await begin()
    await a.delete('deleted')
    await a.deleteByTag('t')
    await a.set('set', 'new')
    expect(await a.getOrSet('deleted', () => 'loaded')).toBe('loaded')
    expect(a.stats().l2!.queuedInvalidations).toBeGreaterThan(0)
    await end()
    await back(a)
    await back(b)
    expect(await b.get('deleted')).toBe(undefined)
    expect(await b.get('tagged')).toBe(undefined)
    expect(await b.get('set')).not.toBe('old')
    expect(await a.getOrSet('tagged', () => 'fresh', options)).toBe('fresh')
    expect(await b.get('kept')).toBe('kept')
  })
})

it('D12 too many of them become one of the whole namespace', async () => {
  const a = await connected({ maxQueuedInvalidations: 10 })
  const b = await connected({ l1: false })
  await a.set('untouched', 1)
  await redis.pause()
  for (let i = 0; i < 50; i++) await a.delete(`k${i}`)
  expect(a.stats().l2!.queuedInvalidations).toBe(1)
  await redis.resume()
  await back(a)
  await back(b)
  expect(await b.get('untouched')).toBe(undefined)
})

it('a reply cut in the middle costs one call its store, not its value', async () => {
  const cache = await connected({ l1: false }, proxy)
  await cache.set('k', 'x'.repeat(50_000))
  await proxy.cutAfter(1_000)
  expect(await cache.getOrSet('k', () => 'loaded')).toMatch(/^(x+|loaded)$/)
  await proxy.pass()
  await back(cache)
  await expect
    .poll(() => cache.getOrSet('k', () => 'loaded'), { timeout: 10_000 })
    .toMatch(/^(x{50000}|loaded)$/)
})

it('a server that comes back empty is filled again', async () => {
  const cache = await connected()
  await cache.set('k', 'old')
  await redis.restartEmpty()
  await expect.poll(() => cache.stats().l2?.busHealthy, { timeout: 10_000 }).toBe(true)
  await back(cache)
  expect(await cache.getOrSet('k', () => 'new')).toBe('new')
  const other = await connected()
  expect(await other.get('k')).toBe('new')
})

it('a cache that starts before its server works, and uses it later', async () => {
  await redis.kill()
  const client = new Redis({ host: redis.host, port: redis.port, retryStrategy: () => 50 })
  client.on('error', () => {})
  open.push(() => client.disconnect())
  const cache = new Cache({ store: redisStore(client), storeTimeout: 100 })
  open.push(() => cache.close())
  expect(await cache.getOrSet('k', () => 1)).toBe(1)
  await redis.start()
  await expect.poll(() => cache.stats().l2?.ready, { timeout: 10_000 }).toBe(true)
  await cache.set('k', 2)
  const other = await connected()
  await expect.poll(() => other.get('k')).toBe(2)
})

it('a full server that refuses writes costs the store only', async () => {
  const cache = await connected({ l1: false })
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  expect(await cache.getOrSet('k', () => 1)).toBe(1)
  expect(await cache.getOrSet('k', () => 2)).toBe(2)
  await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  await back(cache)
  expect(await cache.getOrSet('k', () => 3)).toBe(3)
  expect(await cache.getOrSet('k', () => 4)).toBe(3)
})
