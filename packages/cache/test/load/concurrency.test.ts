import { withoutUnhandled } from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import {
  Cache,
  type CacheOptions,
  type LoadContext,
  LoadTimeoutError,
  memoryStore,
  ReentrantLoadError,
} from '../../src/index.js'
import { brokenStore } from '../stores/stores.js'
import { gate, gatedLoader, manualClock, tapped } from './waiting.js'

const TIERS: [string, () => CacheOptions][] = [
  ['in the first tier', () => ({})],
  ['in a store', () => ({ store: memoryStore(), l1: false })],
  ['in both', () => ({ store: memoryStore() })],
]

describe.each(TIERS)('loads %s', (_, options) => {
  it('C1 loads once for a thousand callers', async () => {
    await using cache = new Cache(options())
    const { load, finish, begun, ...counts } = gatedLoader<number>()
    const loader = { load, counts }
    const callers = Array.from({ length: 1_000 }, () => cache.getOrSet('k', loader.load))
    await begun
    const more = Array.from({ length: 100 }, () => cache.getOrSet('k', loader.load))
    const many = cache.getMany(['k', 'other'])
    finish(7)
    expect(new Set(await Promise.all([...callers, ...more]))).toEqual(new Set([7]))
    expect(await many).toEqual([undefined, undefined])
    expect(cache.stats().loads).toBe(1)
    expect(await cache.getMany(['k', 'other'])).toEqual([7, undefined])
  })

  it.each(['delete', 'deleteMany', 'clear', 'deleteByTag'] as const)(
    'C3 C5 a %s during a load wins: the caller has its value, the next one loads anew',
    async (what) => {
      await using cache = new Cache(options())
      const old = gatedLoader<string>()
      const caller = cache.getOrSet('k', old.load, { tags: ['t'] })
      await old.begun
      if (what === 'clear') await cache.clear()
      else if (what === 'deleteByTag') await cache.deleteByTag('t')
      else if (what === 'deleteMany') await cache.deleteMany(['k', 'x'])
      else await cache.delete('k')
      old.finish('old')
      expect(await caller).toBe('old')
      expect(await cache.get('k')).toBe(undefined)
      expect(await cache.getOrSet('k', () => 'new', { tags: ['t'] })).toBe('new')
      expect(await cache.getOrSet('k', () => 'newer', { tags: ['t'] })).toBe('new')
    },
  )

  it('C3 a set during a load wins', async () => {
    await using cache = new Cache(options())
    const old = gatedLoader<string>()
    const caller = cache.getOrSet('k', old.load)
    await old.begun
    await cache.set('k', 'set')
    expect(await cache.getOrSet('k', () => 'wrong')).toBe('set')
    old.finish('old')
    expect(await caller).toBe('old')
    expect(await cache.get('k')).toBe('set')
  })

  it('C5 tags that only the loader knows are fenced, too', async () => {
    await using cache = new Cache(options())
    const [begun, go] = [gate(), gate()]
    const caller = cache.getOrSet('k', async (context) => {
      context.setTags(['late'])
      begun.open()
      await go.promise
      return 'old'
    })
    await begun.promise
    await cache.deleteByTag('late')
    const loadNew = (context: LoadContext) => {
      context.setTags(['late'])
      return 'new'
    }
    const joined = cache.getOrSet('k', loadNew)
    go.open()
    expect(await caller).toBe('old')
    expect(await joined).toBe('new')
    // A load so soon after the invalidation may be refused, to be on the safe side; a later one is not.
    await expect.poll(() => cache.getOrSet('k', loadNew).then(() => cache.get('k'))).toBe('new')
    await cache.deleteByTag('late')
    expect(await cache.get('k')).toBe(undefined)
  })

  it.each(['delete', 'clear', 'deleteByTag'] as const)(
    'C4 who comes after a %s does not join the load that began before, nor wait for its end',
    async (what) => {
      await using cache = new Cache(options())
      const old = gatedLoader<string>()
      const before = cache.getOrSet('k', old.load, { tags: ['t'] })
      await old.begun
      if (what === 'clear') await cache.clear()
      else if (what === 'deleteByTag') await cache.deleteByTag('t')
      else await cache.delete('k')
      expect(await cache.getOrSet('k', async () => 'new', { tags: ['t'] })).toBe('new')
      old.finish('old')
      expect(await before).toBe('old')
      expect(await cache.get('k')).toBe('new')
    },
  )

  it('C8 an abort ends the wait of its caller only', async () => {
    await using cache = new Cache(options())
    const { load, begun, finish } = gatedLoader<number>()
    const one = new AbortController()
    const first = cache.getOrSet('k', load, { signal: one.signal })
    const second = cache.getOrSet('k', load)
    await begun
    one.abort(new Error('gone'))
    await expect(first).rejects.toThrow('gone')
    finish(1)
    expect(await second).toBe(1)
    await expect(cache.getOrSet('other', load, { signal: one.signal })).rejects.toThrow('gone')
  })

  it('C8 the load stops with its last waiter, and the next caller begins anew', async () => {
    await using cache = new Cache(options())
    const one = new AbortController()
    const begun = gate()
    const stopped = gate()
    const first = cache.getOrSet(
      'k',
      ({ signal }) =>
        new Promise((_, reject) => {
          begun.open()
          signal.addEventListener('abort', () => {
            stopped.open()
            reject(signal.reason)
          })
        }),
      { signal: one.signal },
    )
    await begun.promise
    one.abort()
    await expect(first).rejects.toThrow('aborted')
    await stopped.promise
    expect(await cache.getOrSet('k', () => 2)).toBe(2)
  })

  it('C8 loads are not subject to eviction', async () => {
    await using cache = new Cache({
      ...options(),
      ...(options().l1 === false ? {} : { l1: { maxBytes: 1 } }),
    })
    const loaders = Array.from({ length: 4 }, () => gatedLoader<number>())
    const callers = loaders.map(({ load }, i) => cache.getOrSet(`k${i}`, load))
    await Promise.all(loaders.map(({ begun }) => begun))
    for (const [i, { finish }] of loaders.entries()) finish(i)
    expect(await Promise.all(callers)).toEqual([0, 1, 2, 3])
  })

  it('C9 a load that never settles ends for all, and frees the key', async () => {
    await using cache = new Cache({ ...options(), loadTimeout: 20 })
    let aborted: unknown
    const load = ({ signal }: { signal: AbortSignal }) => {
      signal.addEventListener('abort', () => {
        aborted = signal.reason
      })
      return new Promise<number>(() => {})
    }
    const results = await Promise.allSettled([cache.getOrSet('k', load), cache.getOrSet('k', load)])
    for (const result of results) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: 'ERR_CACHE_LOAD_TIMEOUT', timeout: 20 },
      })
    }
    expect(aborted).toBeInstanceOf(LoadTimeoutError)
    expect(await cache.getOrSet('k', () => 1)).toBe(1)
  })

  it('C9 a loader that throws at once rejects like any other', async () => {
    await using cache = new Cache(options())
    const error = new Error('at once')
    const load = (): number => {
      throw error
    }
    expect(await cache.getOrSet('k', load).catch((caught) => caught)).toBe(error)
  })

  it('C10 a loader that waits for itself is told so, with the chain', async () => {
    await using cache = new Cache(options())
    const self: Promise<number> = cache.getOrSet('a', async () => {
      await Promise.resolve()
      return cache.getOrSet('a', () => 1)
    })
    await expect(self).rejects.toMatchObject({ code: 'ERR_CACHE_REENTRANT', chain: ['a', 'a'] })
    const round = cache.getOrSet('x', async () =>
      cache.getOrSet('y', async () => cache.getOrSet('x', () => 1)),
    )
    await expect(round).rejects.toMatchObject({ chain: ['x', 'y', 'x'] })
    await expect(round).rejects.toThrow(ReentrantLoadError)
    expect(await cache.getOrSet('a', () => cache.getOrSet('b', () => 2))).toBe(2)
  })

  it('C10 two loaders that wait for each other are told so', async () => {
    await using cache = new Cache(options())
    const [a, b] = [gate(), gate()]
    const one = cache.getOrSet('a', async () => {
      a.open()
      await b.promise
      return cache.getOrSet('b', () => 1)
    })
    const two = cache.getOrSet('b', async () => {
      b.open()
      await a.promise
      return cache.getOrSet('a', () => 1)
    })
    const results = await Promise.allSettled([one, two])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(results[0]).toMatchObject({ reason: { code: 'ERR_CACHE_REENTRANT' } })
  })

  it('C11 the error of a loader reaches every waiter unchanged, and is not kept', async () => {
    await using cache = new Cache(options())
    const { load, begun, fail } = gatedLoader<number>()
    const callers = Array.from({ length: 5 }, () => cache.getOrSet('k', load))
    await begun
    const error = new Error('mine')
    fail(error)
    const results = await Promise.allSettled(callers)
    for (const result of results) expect(result).toEqual({ status: 'rejected', reason: error })
    expect(await cache.getOrSet('k', () => 1)).toBe(1)
  })

  it('C11 errorTtl keeps an error for as long as it says, and no delete longer', async () => {
    const clock = manualClock()
    await using cache = new Cache({ ...options(), clock })
    let runs = 0
    const load = () => {
      runs++
      throw new Error(`run ${runs}`)
    }
    const again = () => cache.getOrSet('k', load, { errorTtl: '1s' }).catch((error) => error.message)
    expect([await again(), await again()]).toEqual(['run 1', 'run 1'])
    clock.advance(1_000)
    expect(await again()).toBe('run 2')
    await cache.delete('k')
    expect(await again()).toBe('run 3')
  })
})

describe('a store that fails', () => {
  it('C11 C12 loses no value, reaches no caller and leaves no unhandled rejection', () =>
    withoutUnhandled(async () => {
      await using cache = new Cache({ store: brokenStore(), swr: '1h', staleIfError: '1h' })
      expect(await cache.getOrSet('k', () => 1)).toBe(1)
      expect(await cache.getOrSet('k', () => 2)).toBe(1)
      await cache.set('s', 1)
      expect(await cache.get('s')).toBe(1)
      await cache.delete('s')
      await cache.deleteMany(['s', 't'])
      await cache.deleteByTag(['x', 'y'])
      await cache.clear()
      expect(await cache.getMany(['k', 's'])).toEqual([undefined, undefined])
      await Promise.all(Array.from({ length: 200 }, (_, i) => cache.getOrSet(`k${i}`, async () => i)))
      expect(cache.stats().l2).toMatchObject({ ready: true, queuedInvalidations: 1 })
    }))

  it.each(['read', 'acquire', 'epochs', 'commit', 'renew', 'release'])(
    'C11 in %s only costs the store',
    async (operation) => {
      const store = tapped(memoryStore(), (name) => {
        if (name === operation) throw new Error('broken')
      })
      await using cache = new Cache({ store })
      expect(await cache.getOrSet('k', () => 1)).toBe(1)
      expect(await cache.getOrSet('k', () => 2)).toBe(1)
      await expect(cache.getOrSet('e', () => Promise.reject(new Error('own')))).rejects.toThrow('own')
    },
  )
})

it('an invalidation seen before the acknowledgement of a read is not lost', async () => {
  const inner = memoryStore()
  const [reading, go] = [gate(), gate()]
  let hold = false
  const store = tapped(inner, async (name) => {
    if (hold && name === 'read') {
      reading.open()
      await go.promise
    }
  })
  await using other = new Cache({ store: inner })
  await other.set('k', 'old')
  await using cache = new Cache({ store })
  hold = true
  const read = cache.getOrSet('k', () => 'loaded')
  await reading.promise
  await other.set('k', 'new')
  hold = false
  go.open()
  expect(await read).toBe('new')
  expect(await cache.get('k')).toBe('new')
})

it('close lets loads finish, then refuses; loads that do not finish are aborted', async () => {
  const cache = new Cache()
  const { load, begun, finish } = gatedLoader<number>()
  const caller = cache.getOrSet('k', load)
  await begun
  const closing = cache.close()
  expect(cache.close()).toBe(closing)
  await expect(cache.getOrSet('k', load)).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
  await expect(cache.delete('k')).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
  finish(1)
  expect(await caller).toBe(1)
  await closing

  const second = new Cache()
  const hanging = gatedLoader<number>()
  const lost = second.getOrSet('k', hanging.load)
  await hanging.begun
  lost.catch(() => {})
  await second.close({ timeout: 1 })
  await expect(lost).rejects.toMatchObject({ code: 'ERR_CACHE_CLOSED' })
})
