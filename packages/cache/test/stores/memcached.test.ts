import { withoutUnhandled } from '@spillway/kit/testing'
import { type MemcachedServer, startMemcached } from '@spillway/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Cache, type CacheOptions, memcachedStore } from '../../src/index.js'
import { Ring } from '../../src/stores/memcached/ring.js'
import { gatedLoader } from '../load/waiting.js'

/**
 * Three servers, one of which fails. Its keys do without a second tier until it is back; the keys of the others notice
 * nothing; and nothing that was invalidated meanwhile comes back with it.
 */

let servers: MemcachedServer[]
let urls: string[]
const open: (() => unknown)[] = []

beforeEach(async () => {
  servers = await Promise.all([1, 2, 3].map(() => startMemcached()))
  urls = servers.map((server) => server.url())
})
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
})

async function node(options: CacheOptions = {}): Promise<Cache> {
  const cache = new Cache({ store: memcachedStore(urls), l1: false, storeTimeout: 100, ...options })
  open.push(() => cache.close())
  await expect.poll(() => cache.stats().l2?.ready, { timeout: 10_000 }).toBe(true)
  return cache
}

/** Ten keys of each server. */
function keysOf(server: number): string[] {
  const ring = new Ring(urls)
  const keys = Array.from({ length: 300 }, (_, i) => `key ${i}`)
  return keys.filter((key) => ring.serverOf(key) === server).slice(0, 10)
}

const back = (cache: Cache) =>
  expect
    .poll(() => cache.stats().l2, { timeout: 10_000 })
    .toMatchObject({ ready: true, breakerOpen: false, serversAway: 0, queuedInvalidations: 0 })

const FAULTS = [
  {
    name: 'killed (SIGKILL)',
    begin: () => servers[0]!.kill(),
    end: () => servers[0]!.start(),
    forgets: true,
  },
  {
    name: 'stopped (SIGSTOP)',
    begin: () => servers[0]!.pause(),
    end: () => servers[0]!.resume(),
    forgets: false,
  },
]

describe.each(FAULTS)('one server of three is $name', ({ begin, end, forgets }) => {
  it('the others are used as before, its own keys are loaded, and it is used again when it is back', () =>
    withoutUnhandled(async () => {
      const cache = await node()
      const [lost, kept] = [keysOf(0), [...keysOf(1), ...keysOf(2)]]
      for (const key of [...lost, ...kept]) await cache.set(key, 'stored')
      await begin()
      for (const key of lost) expect(await cache.getOrSet(key, () => 'loaded')).toBe('loaded')
      for (const key of kept) expect(await cache.getOrSet(key, () => 'loaded')).toBe('stored')
      const many = await cache.getMany([...lost, ...kept])
      expect(many).toEqual([...lost.map(() => undefined), ...kept.map(() => 'stored')])
      expect(cache.stats().l2).toMatchObject({ serversAway: 1 })
      const before = cache.stats().l2!.timeouts
      for (let i = 0; i < 100; i++) await cache.getOrSet(lost[i % lost.length]!, () => i)
      expect(cache.stats().l2!.timeouts - before).toBeLessThanOrEqual(5)
      await end()
      await back(cache)
      for (const key of lost) {
        expect(await cache.getOrSet(key, () => 'reloaded')).toBe(forgets ? 'reloaded' : 'stored')
        expect(await cache.get(key)).toBe(forgets ? 'reloaded' : 'stored')
      }
    }))

  it('D12 what is deleted, tagged or set meanwhile does not come back with it', async () => {
    const [a, b] = [await node(), await node()]
    const [deleted, tagged, written, kept] = keysOf(0) as [string, string, string, string]
    const [elsewhere] = keysOf(1) as [string]
    const options = { tags: ['t'] }
    for (const key of [deleted, written, kept]) await a.set(key, 'old')
    for (const key of [tagged, elsewhere]) await a.set(key, 'old', options)
    await begin()
    await a.delete(deleted)
    await a.set(written, 'new')
    await a.deleteByTag('t')
    expect(await b.get(elsewhere)).toBe(undefined)
    expect(a.stats().l2!.queuedInvalidations).toBeGreaterThan(0)
    await end()
    await back(a)
    await back(b)
    for (const cache of [a, b]) {
      expect(await cache.get(deleted)).toBe(undefined)
      expect(await cache.get(tagged)).toBe(undefined)
      expect(await cache.get(written)).not.toBe('old')
      expect(await cache.get(kept)).toBe(forgets ? undefined : 'old')
    }
  })

  it('D12 a clear meanwhile takes its entries, too', async () => {
    const a = await node()
    const keys = [...keysOf(0), ...keysOf(1)]
    for (const key of keys) await a.set(key, 'old')
    await begin()
    await a.clear()
    await end()
    await back(a)
    expect(await a.getMany(keys)).toEqual(keys.map(() => undefined))
  })

  it('a load that began before and ends after is not stored over a delete in between', async () => {
    const a = await node()
    const [key] = keysOf(0) as [string]
    const load = gatedLoader<string>()
    const caller = a.getOrSet(key, load.load)
    await load.begun
    await begin()
    await a.delete(key)
    load.finish('old')
    expect(await caller).toBe('old')
    await end()
    await back(a)
    expect(await a.get(key)).toBe(undefined)
  })
})

it('a server that comes back empty forgets its own entries only, and no tag of them comes to life again', async () => {
  const a = await node()
  const [one, two] = [keysOf(0)[0]!, keysOf(1)[0]!]
  await a.set(one, 'old', { tags: ['t'] })
  await a.set(two, 'kept', { tags: ['t'] })
  await servers[0]!.restartEmpty()
  await back(a)
  expect(await a.getOrSet(one, () => 'new', { tags: ['t'] })).toBe('new')
  expect(await a.get(two)).toBe('kept')
  await a.deleteByTag('t')
  expect(await a.getMany([one, two])).toEqual([undefined, undefined])
})

it('the order in which the servers are named does not matter', async () => {
  const a = await node()
  const b = await node({ store: memcachedStore(urls.toReversed()) })
  const keys = Array.from({ length: 60 }, (_, i) => `key ${i}`)
  await Promise.all(keys.map((key) => a.set(key, key, { tags: ['t'] })))
  expect(await b.getMany(keys)).toEqual(keys)
  await b.deleteByTag('t')
  expect(await a.getMany(keys)).toEqual(keys.map(() => undefined))
})

it('keys are spread evenly', () => {
  const ring = new Ring(['10.0.0.1:11211', '10.0.0.2:11211', '10.0.0.3:11211'])
  const counts = [0, 0, 0]
  for (let i = 0; i < 30_000; i++) counts[ring.serverOf(`user:${i}`)]! += 1
  for (const count of counts) expect(count).toBeGreaterThan(7_000)
})
