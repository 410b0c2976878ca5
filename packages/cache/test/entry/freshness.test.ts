import { describe, expect, it } from 'vitest'
import { freshnessOf, timesOf } from '../../src/entry/entry.js'
import { Cache, type CacheOptions, memoryStore } from '../../src/index.js'
import { gatedLoader, manualClock } from '../load/waiting.js'

const TIERS: [string, (clock: ReturnType<typeof manualClock>) => CacheOptions][] = [
  ['in the first tier', (clock) => ({ clock, jitter: 0 })],
  ['in a store', (clock) => ({ clock, jitter: 0, store: memoryStore({ clock }), l1: false })],
  ['in both', (clock) => ({ clock, jitter: 0, store: memoryStore({ clock }) })],
]

describe.each(TIERS)('freshness %s', (_, options) => {
  it('swr serves the stale value and refreshes once in the background', async () => {
    const clock = manualClock()
    await using cache = new Cache({ ...options(clock), ttl: 100, swr: 1_000 })
    await cache.set('k', 1)
    clock.advance(100)
    const refresh = gatedLoader<number>()
    const stale = await Promise.all(Array.from({ length: 20 }, () => cache.getOrSet('k', refresh.load)))
    expect(new Set(stale)).toEqual(new Set([1]))
    await refresh.begun
    expect(await cache.getOrSet('k', refresh.load)).toBe(1)
    refresh.finish(2)
    await expect.poll(() => cache.getOrSet('k', () => 9)).toBe(2)
    expect(refresh.runs).toBe(1)
    expect(cache.stats().stale).toBeGreaterThanOrEqual(21)
    clock.advance(1_200)
    expect(await cache.getOrSet('k', () => 3)).toBe(3)
  })

  it('a failing background refresh is nobody’s error, and is not tried again at once', async () => {
    const clock = manualClock()
    await using cache = new Cache({ ...options(clock), ttl: 100, swr: '1h' })
    await cache.set('k', 1)
    clock.advance(100)
    let runs = 0
    const load = () => {
      runs++
      throw new Error('down')
    }
    for (let i = 0; i < 10; i++) {
      expect(await cache.getOrSet('k', load)).toBe(1)
      await expect.poll(() => cache.stats().inFlight).toBe(0)
    }
    expect(runs).toBe(1)
    clock.advance(1_000)
    expect(await cache.getOrSet('k', load)).toBe(1)
    await expect.poll(() => runs).toBe(2)
  })

  it('staleIfError loads first, serves the stale value when that fails, and backs off', async () => {
    const clock = manualClock()
    await using cache = new Cache({ ...options(clock), ttl: 100, staleIfError: '1h' })
    await cache.set('k', 1)
    clock.advance(100)
    let runs = 0
    const fail = () => {
      runs++
      throw new Error('down')
    }
    for (let i = 0; i < 5; i++) expect(await cache.getOrSet('k', fail)).toBe(1)
    expect(runs).toBe(1)
    clock.advance(1_000)
    expect(await cache.getOrSet('k', fail)).toBe(1)
    clock.advance(1_000)
    expect(await cache.getOrSet('k', fail)).toBe(1)
    expect(runs).toBe(2) // the second pause is twice as long
    clock.advance(1_000)
    expect(await cache.getOrSet('k', () => 2)).toBe(2)
  })

  it.each(['deleteByTag', 'clear', 'delete'] as const)(
    'C7 what was invalidated by %s is never served stale',
    async (what) => {
      const clock = manualClock()
      await using cache = new Cache({
        ...options(clock),
        ttl: 100,
        swr: '1h',
        staleIfError: '1h',
        tags: ['t'],
      })
      await cache.set('k', 1)
      clock.advance(100)
      if (what === 'delete') await cache.delete('k')
      else if (what === 'clear') await cache.clear()
      else await cache.deleteByTag('t')
      await expect(cache.getOrSet('k', () => Promise.reject(new Error('down')))).rejects.toThrow('down')
      expect(await cache.getOrSet('k', () => 2)).toBe(2)
    },
  )

  it('C7 what is invalidated while its load fails is not served stale either', async () => {
    const clock = manualClock()
    await using cache = new Cache({ ...options(clock), ttl: 100, staleIfError: '1h', tags: ['t'] })
    await cache.set('k', 1)
    clock.advance(100)
    const loader = gatedLoader<number>()
    const caller = cache.getOrSet('k', loader.load)
    await loader.begun
    await cache.deleteByTag('t')
    loader.fail(new Error('down'))
    await expect(caller).rejects.toThrow('down')
  })

  it('a soft timeout serves the stale value while the load goes on', async () => {
    const clock = manualClock()
    await using cache = new Cache({ ...options(clock), ttl: 100, staleIfError: '1h', softTimeout: 10 })
    await cache.set('k', 1)
    clock.advance(100)
    const loader = gatedLoader<number>()
    expect(await cache.getOrSet('k', loader.load)).toBe(1)
    expect(await cache.getOrSet('k', loader.load)).toBe(1)
    loader.finish(2)
    await expect.poll(() => cache.getOrSet('k', () => 9)).toBe(2)
    expect(loader.runs).toBe(1)
  })

  it('the loader sees the value it replaces, and may keep it', async () => {
    const clock = manualClock()
    await using cache = new Cache({ ...options(clock), ttl: 100, staleIfError: '1h' })
    await cache.set('k', { etag: 'a' })
    clock.advance(100)
    const seen: unknown[] = []
    const kept = await cache.getOrSet('k', ({ stale, background }) => {
      seen.push(stale, background)
      return stale
    })
    expect(seen).toEqual([{ etag: 'a' }, false])
    expect(kept).toEqual({ etag: 'a' })
    expect(await cache.get('k')).toEqual({ etag: 'a' })
  })

  it('the loader decides on ttl, windows and storing', async () => {
    const clock = manualClock()
    await using cache = new Cache({ ...options(clock), ttl: 100 })
    await cache.getOrSet('k', (context) => {
      context.setTtl('1m')
      context.setStale({ swr: '1m' })
      return 1
    })
    clock.advance(59_999)
    expect(await cache.get('k')).toBe(1)
    clock.advance(1)
    expect(await cache.get('k')).toBe(undefined)
    expect(await cache.getOrSet('k', () => 2, { swr: '1h' })).toBe(1)
    await expect.poll(() => cache.getOrSet('k', () => 3)).toBe(2)
    expect(
      await cache.getOrSet('skipped', (context) => {
        context.skip()
        return 1
      }),
    ).toBe(1)
    expect(await cache.get('skipped')).toBe(undefined)
    await expect(cache.getOrSet('x', (context) => context.setTtl('soon' as '1s'))).rejects.toThrow(RangeError)
  })

  it('refresh loads anew although a fresh value is there', async () => {
    const clock = manualClock()
    await using cache = new Cache(options(clock))
    await cache.set('k', 1)
    expect(await cache.getOrSet('k', () => 2, { refresh: true })).toBe(2)
    expect(await cache.getOrSet('k', () => 3)).toBe(2)
  })

  it('early refresh replaces a hot costly entry before it expires, in the background', async () => {
    const clock = manualClock()
    await using cache = new Cache({ ...options(clock), ttl: 1_000, earlyRefresh: 1e9 })
    await cache.getOrSet('k', async () => {
      await new Promise((resolve) => setTimeout(resolve, 2))
      return 1
    })
    clock.advance(799)
    expect(await cache.getOrSet('k', () => 2)).toBe(1)
    expect(cache.stats().loads).toBe(1)
    clock.advance(2)
    expect(await cache.getOrSet('k', () => 2)).toBe(1)
    await expect.poll(() => cache.stats().inFlight).toBe(0)
    expect(await cache.get('k')).toBe(2)
  })
})

describe('times', () => {
  it('jitter only shortens, within its share', () => {
    for (let i = 0; i < 1_000; i++) {
      const { freshUntil } = timesOf(1_000, { swr: false, staleIfError: false }, 0, 0.1, 0)
      expect(freshUntil).toBeGreaterThan(900 - 1e-9)
      expect(freshUntil).toBeLessThanOrEqual(1_000)
    }
    expect(timesOf(1, { swr: 5, staleIfError: 9 }, 10, 1, 0)).toMatchObject({
      freshUntil: 11,
      swrUntil: 16,
      staleUntil: 20,
    })
  })

  it('XFetch refreshes as often as its formula says', () => {
    const times = { created: 0, freshUntil: 1_000, swrUntil: 1_000, staleUntil: 1_000, loadMs: 50 }
    const rounds = 20_000
    for (const [now, expected] of [
      [900, Math.exp(-100 / 50)],
      [960, Math.exp(-40 / 50)],
    ] as const) {
      let early = 0
      for (let i = 0; i < rounds; i++) {
        if (freshnessOf(times, { swr: false, staleIfError: false }, now, 1) === 'early') early++
      }
      expect(Math.abs(early / rounds - expected)).toBeLessThan(0.03)
    }
  })
})
