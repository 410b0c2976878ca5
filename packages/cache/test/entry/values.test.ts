import type { Clock } from '@spillway/kit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions, memoryStore, UncacheableValueError } from '../../src/index.js'
import { manualClock } from '../load/waiting.js'

/** A cache with and without a store; in both nothing may differ for the caller. */
const TIERS: [string, (clock?: Clock) => CacheOptions][] = [
  ['in the first tier', (clock) => ({ ...(clock && { clock }) })],
  ['in a store', (clock) => ({ store: memoryStore(clock && { clock }), l1: false, ...(clock && { clock }) })],
  ['in both', (clock) => ({ store: memoryStore(clock && { clock }), ...(clock && { clock }) })],
]

describe.each(TIERS)('values %s', (_, options) => {
  it.each([null, 0, '', false])('V1 takes %j for a value', async (value) => {
    await using cache = new Cache(options())
    let runs = 0
    const load = () => {
      runs++
      return value
    }
    expect(await cache.getOrSet('k', load)).toBe(value)
    expect(await cache.getOrSet('k', load)).toBe(value)
    expect(await cache.get('k')).toBe(value)
    expect(runs).toBe(1)
  })

  it('V1 does not store undefined, and does not mind it', async () => {
    await using cache = new Cache(options())
    let runs = 0
    const load = () => void runs++
    expect(await cache.getOrSet('k', load)).toBe(undefined)
    expect(await cache.getOrSet('k', load)).toBe(undefined)
    expect(runs).toBe(2)
    await cache.set('k', 1)
    await cache.set('k', undefined)
    expect(await cache.get('k')).toBe(undefined)
  })

  it('V2 plain data cannot be spoilt for others by whoever gets them, the first and the coalesced too', async () => {
    await using cache = new Cache(options())
    const get = () => cache.getOrSet('k', () => ({ list: [{ n: 0 }] }))
    const callers = [...(await Promise.all([get(), get(), get()])), await get()]
    const [many] = await cache.getMany<(typeof callers)[0]>(['k'])
    callers.push(many!)
    for (const [i, value] of callers.entries()) {
      try {
        value.list[0]!.n = i + 1
      } catch (error) {
        expect(error).toBeInstanceOf(TypeError)
      }
      for (const other of callers) if (other !== value) expect(other.list[0]!.n).not.toBe(i + 1)
    }
    expect(await cache.get('k')).toEqual({ list: [{ n: 0 }] })
  })

  it('V2 values that freezing does not protect are copied for each caller, the first and the coalesced too', async () => {
    await using cache = new Cache(options())
    const make = () => ({
      map: new Map([['a', { n: 1 }]]),
      date: new Date(5),
      bytes: Buffer.from('abc'),
      set: new Set([1]),
    })
    const own = make()
    const spoil = (value: ReturnType<typeof make>) => {
      value.map.get('a')!.n = 2
      value.map.set('b', { n: 3 })
      value.date.setTime(9)
      value.bytes[0] = 0
      value.set.clear()
    }
    const callers = await Promise.all([1, 2, 3].map(() => cache.getOrSet('k', async () => own)))
    callers.forEach(spoil)
    spoil(own)
    const later = await cache.getOrSet('k', make)
    expect(later).toEqual(make())
    spoil(later)
    expect(await cache.get('k')).toEqual(make())
  })

  it('V3 keeps the types that structured data have', async () => {
    await using cache = new Cache(options())
    const make = () => ({
      date: new Date(0),
      map: new Map<unknown, unknown>([
        ['a', 1],
        [{ k: 1 }, [undefined]],
      ]),
      set: new Set([1, 'b']),
      big: 10n,
      buffer: Buffer.from([1, 2]),
      u8: new Uint8Array([1]),
      f64: new Float64Array([1.5]),
      regexp: /a+/gi,
      nan: Number.NaN,
      zero: -0,
      infinity: Number.POSITIVE_INFINITY,
      missing: undefined,
      sparse: [1, undefined, 3],
      url: new URL('http://a/b'),
      nested: { deep: [new Map([['x', new Date(1)]])] },
    })
    await cache.set('k', make())
    const back = await cache.get<ReturnType<typeof make>>('k')
    expect(back).toEqual(make())
    expect(Object.is(back?.zero, -0)).toBe(true)
    expect('missing' in back!).toBe(true)
    expect(Buffer.isBuffer(back?.buffer)).toBe(true)
    expect(Buffer.isBuffer(back?.u8)).toBe(false)
    expect(await cache.getOrSet('bytes', () => Buffer.from('x'))).toEqual(Buffer.from('x'))
    expect(await cache.get('bytes')).toEqual(Buffer.from('x'))
  })

  it('V3 keeps a graph a graph', async () => {
    await using cache = new Cache(options())
    const make = () => {
      const shared = { date: new Date(1) }
      const graph: { a: unknown; b: unknown; self?: unknown } = { a: shared, b: shared }
      graph.self = graph
      return graph
    }
    await cache.set('k', make())
    const back = await cache.get<ReturnType<typeof make>>('k')
    expect(back?.self).toBe(back)
    expect(back?.a).toBe(back?.b)
  })

  class Point {
    x = 1
  }
  it.each([
    ['a function', () => ({ f() {} })],
    ['a class instance', () => ({ p: new Point() })],
    ['a symbol', () => [Symbol('s')]],
    ['an own toJSON', () => ({ toJSON: () => 1 })],
    ['a promise', () => ({ p: Promise.resolve(1) })],
    ['an error', () => new Error('x')],
  ])('V3 refuses %s loudly, and the caller of a load still gets it', async (_what, make) => {
    await using cache = new Cache(options())
    await expect(cache.set('k', make())).rejects.toThrow(UncacheableValueError)
    const value: unknown = make()
    expect(await cache.getOrSet('k', () => value)).toBe(value)
    expect(await cache.get('k')).toBe(undefined)
  })
})

it('V2 plain data in the first tier are frozen, the loader’s own object too', async () => {
  await using cache = new Cache()
  const own = { list: [{ n: 1 }] }
  const value = await cache.getOrSet('k', () => own)
  for (const list of [own.list, value.list]) {
    expect(() => list.push({ n: 3 })).toThrow(TypeError)
    expect(() => {
      list[0]!.n = 2
    }).toThrow(TypeError)
  }
})

it('without a first tier each caller has a value of its own, to change as it likes', async () => {
  await using cache = new Cache({ l1: false, store: memoryStore() })
  const get = () => cache.getOrSet('k', () => ({ list: [{ n: 1 }] }))
  for (const value of await Promise.all([get(), get()])) value.list.push({ n: 2 })
  for (const value of await Promise.all([get(), get()])) value.list.push({ n: 3 })
  expect(await get()).toEqual({ list: [{ n: 1 }] })
})

it('V2 a copy of plain data is equal and shares nothing, whatever the data', async () => {
  const containers = (value: unknown): object[] =>
    typeof value === 'object' && value !== null ? [value, ...Object.values(value).flatMap(containers)] : []
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ maxDepth: 5 }), async (value) => {
      await using cache = new Cache({ share: 'clone' })
      const own = JSON.parse(JSON.stringify(value))
      await cache.set('k', own)
      const copies = [await cache.get('k'), await cache.get('k')]
      for (const copy of copies) expect(copy).toStrictEqual(own)
      const all = [own, ...copies].flatMap(containers)
      expect(new Set(all).size).toBe(all.length)
    }),
  )
})

it('clone gives each caller an own copy, reference the value itself', async () => {
  await using clone = new Cache({ share: 'clone' })
  const own = { n: 1 }
  const copy = await clone.getOrSet('k', () => own)
  copy.n = 2
  own.n = 3
  expect(await clone.get('k')).toEqual({ n: 1 })

  await using reference = new Cache({ share: 'reference' })
  expect(await reference.getOrSet('k', () => own)).toBe(own)
  expect(await reference.get('k')).toBe(own)
  expect(Object.isFrozen(own)).toBe(false)
})

describe('keys', () => {
  it('V7 tells types apart', async () => {
    const store = memoryStore()
    await using cache = new Cache({ store })
    const keys = [
      '1',
      1,
      1n,
      ['1'],
      [1],
      [1n],
      ['u', 1],
      ['u', '1'],
      ['u1'],
      [['u'].join(), 1],
      'null',
      [null],
      ['null'],
      [true],
      ['true'],
      '',
      [],
    ]
    keys.push('\u0001"1"', '\u00011', '\u0001[1', ['a', 'b,c'], ['a,b', 'c'])
    await Promise.all(keys.map((key, i) => cache.set(key as string, i)))
    await using other = new Cache({ store, l1: false })
    for (const node of [cache, other]) {
      expect(await node.getMany(keys as string[])).toEqual(
        keys.map((key, i) => (JSON.stringify(key, big) === '["u",1]' ? 9 : i)),
      )
    }
  })

  it.each(['__proto__', 'constructor', '', '\ud800', 'a b\nc', '{', 'x'.repeat(10_240)])(
    'V7 takes %j',
    async (key) => {
      await using cache = new Cache({ store: memoryStore() })
      expect(await cache.get(key)).toBe(undefined)
      expect(await cache.getOrSet(key, () => 1)).toBe(1)
      expect(await cache.get(key)).toBe(1)
      await cache.delete(key)
      expect(await cache.get(key)).toBe(undefined)
    },
  )

  it('V7 keeps the loads of two instances apart', async () => {
    await using a = new Cache({ name: 'a' })
    await using b = new Cache({ name: 'b' })
    expect(await Promise.all([a.getOrSet('k', async () => 'a'), b.getOrSet('k', async () => 'b')])).toEqual([
      'a',
      'b',
    ])
  })

  it.each([undefined, {}, Number.NaN, [undefined], Symbol('s'), () => 1])('V7 refuses %s', async (key) => {
    await using cache = new Cache()
    await expect(cache.getOrSet(key as string, () => 1)).rejects.toMatchObject({ code: 'ERR_CACHE_KEY' })
    await expect(cache.get(key as string)).rejects.toMatchObject({ code: 'ERR_CACHE_KEY' })
  })
})

function big(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value
}

describe.each(TIERS)('time %s', (_, options) => {
  it('V4 takes numbers for milliseconds and strings for what they say', async () => {
    const clock = manualClock()
    await using cache = new Cache({ ...options(clock), jitter: 0 })
    for (const [ttl, milliseconds] of [
      [5, 5],
      ['5ms', 5],
      ['5s', 5_000],
      ['2h', 7_200_000],
    ] as const) {
      await cache.set('k', 1, { ttl })
      clock.advance(milliseconds - 1)
      expect(await cache.get('k')).toBe(1)
      clock.advance(1)
      expect(await cache.get('k')).toBe(undefined)
    }
  })

  it.each([0, -1, -5_000])('V5 does not store with a ttl of %s', async (ttl) => {
    await using cache = new Cache(options())
    let runs = 0
    const load = () => ++runs
    expect(await cache.getOrSet('k', load, { ttl })).toBe(1)
    expect(await cache.getOrSet('k', load, { ttl })).toBe(2)
    await cache.set('k', 9)
    await cache.set('k', 1, { ttl })
    expect(await cache.get('k')).toBe(undefined)
  })

  it.each([Number.NaN, '5 apples', 'soon', Number.POSITIVE_INFINITY])(
    'V5 refuses a ttl of %s at the call',
    async (ttl) => {
      await using cache = new Cache(options())
      const wrong = { ttl: ttl as number }
      await expect(cache.getOrSet('k', () => 1, wrong)).rejects.toThrow(RangeError)
      await expect(cache.set('k', 1, wrong)).rejects.toThrow(RangeError)
      expect(() => new Cache(wrong)).toThrow(RangeError)
    },
  )

  it('V5 takes a fraction of a millisecond for a whole one', async () => {
    const clock = manualClock()
    await using cache = new Cache(options(clock))
    await cache.set('k', 1, { ttl: 0.5 })
    expect(await cache.get('k')).toBe(1)
    clock.advance(1)
    expect(await cache.get('k')).toBe(undefined)
  })
})

it('V8 the first tier never keeps an entry longer than the store would', async () => {
  const clock = manualClock()
  const store = memoryStore({ clock })
  await using a = new Cache({ store, clock, jitter: 0, ttl: 600 })
  await using b = new Cache({ store, clock, jitter: 0, ttl: 600 })
  await a.set('k', 'old')
  clock.advance(500)
  expect(await b.getOrSet('k', () => 'new')).toBe('old')
  clock.advance(99)
  expect(await b.getOrSet('k', () => 'new')).toBe('old')
  clock.advance(1)
  expect(await b.getOrSet('k', () => 'new')).toBe('new')
})

it('V9 bounds the first tier by bytes, and lets large entries pass it by', async () => {
  await using cache = new Cache({ l1: { maxBytes: '2mb', maxEntryBytes: '64kb' } })
  for (let i = 0; i < 20_000; i++) await cache.set(`k${i}`, `${i}`.padEnd(500, 'x'))
  expect(cache.stats().l1.bytes).toBeLessThanOrEqual(2 * 1024 ** 2)
  expect(cache.stats().l1.entries).toBeGreaterThan(1_000)
  await cache.set('k19999', 'y'.repeat(100_000))
  expect(await cache.get('k19999')).toBe(undefined) // without a store it is nowhere; above all not the old one
})

it('V9 sends an entry that is too large for the first tier to the store', async () => {
  await using cache = new Cache({ l1: { maxEntryBytes: '1kb' }, store: memoryStore() })
  await cache.set('k', 'y'.repeat(5_000))
  expect(cache.stats().l1.entries).toBe(0)
  expect(await cache.get<string>('k')).toHaveLength(5_000)
})

it('V9 does not write more than maxValueBytes to the store, and does not leave the old value there', async () => {
  const store = memoryStore()
  await using cache = new Cache({ store, maxValueBytes: '1kb' })
  await cache.set('k', 'old')
  await cache.set('k', 'y'.repeat(5_000))
  await using other = new Cache({ store })
  expect(await other.get('k')).toBe(undefined)
})
