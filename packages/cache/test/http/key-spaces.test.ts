import { type MemcachedServer, type RedisServer, startMemcached, startRedis } from '@spillway/testkit'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CacheKey, type CacheStore, memcachedStore, memoryStore, redisStore } from '../../src/index.js'
import { encodeKey, ownKey } from '../../src/key.js'
import { behind } from './stand.js'

/** Responses and data live in one cache, in two key spaces: no key of a user reaches into the other. */

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

const STORES: Readonly<Record<string, () => CacheStore | undefined>> = {
  'no store': () => undefined,
  memory: () => memoryStore(),
  Redis() {
    const client = new Redis(redis.url())
    open.push(() => client.disconnect())
    return redisStore(client)
  },
  Memcached: () => memcachedStore(memcached.url()),
}

/** What somebody would try who knows how the keys of responses are made. */
function guesses(host: string): CacheKey[] {
  const names = [`http:${host}|/`, `shttp:${host}|/`, `http:${host}|/other`]
  const marked = ['', '\u0001', '\u0001s', '\u0001\u0001s', '%01s'].flatMap((mark) =>
    names.map((name) => mark + name),
  )
  return [...marked, ...marked.map((text) => [text]), ...marked.map((text) => JSON.stringify(text))]
}

/** Without a store there is no cache but the first tier. */
const CACHES = Object.keys(STORES).flatMap((kind) =>
  (kind === 'no store' ? [true] : [true, false]).map((l1) => ({ kind, l1 })),
)

describe.each(CACHES)('$kind', ({ kind, l1 }) => {
  const setup = () => {
    const store = STORES[kind]!()
    const name = `spaces-${kind.replace(' ', '-')}-${l1}`
    return { name, ...(store === undefined ? {} : { store }), ...(l1 ? {} : { l1: false as const }) }
  }

  it(`H25 no key of a user reads, plants, deletes or blocks a response (l1: ${l1})`, () =>
    behind(
      'express5',
      {
        reply: (run) => ({ headers: { 'cache-control': 'public, max-age=60' }, body: `run ${run}` }),
        cache: setup(),
      },
      async ({ cache, get, runs }) => {
        const host = 'app.example'
        await get({ host })
        expect((await get({ host })).text).toBe('run 1')
        const planted = Buffer.from('planted')
        for (const key of guesses(host)) {
          expect(await cache.getOrSet(key, () => 'mine')).toBe('mine')
          await cache.set(key, planted)
          await cache.delete(key)
          await cache.getOrSet(key, () => Promise.reject(new Error('down'))).catch(() => {})
        }
        await cache.deleteMany(guesses(host))
        expect((await get({ host })).text).toBe('run 1')
        expect(runs()).toBe(1)
      },
    ))
})

describe('keys', () => {
  const part = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.bigInt(),
    fc.boolean(),
    fc.constant(null),
  )
  const odd = fc.string({
    unit: fc.constantFrom('\u0001', 's', '"', '[', 'v', '*', 'h', '\\', 'I', '-', '1'),
  })
  const key = fc.oneof(
    fc.string(),
    odd,
    odd.map((text) => `\u0001${text}`),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.bigInt(),
    fc.array(fc.oneof(part, odd), { maxLength: 4 }),
  )

  it('H25 no key of a user is encoded as one of the package', () => {
    fc.assert(
      fc.property(key, (given) => {
        expect(encodeKey(given as CacheKey).startsWith('\u0001s')).toBe(false)
      }),
      { numRuns: 5_000 },
    )
    expect(encodeKey(ownKey('a')).startsWith('\u0001s')).toBe(true)
  })

  it('H25 what comes as JSON is never a key of the package', () => {
    const hostile = JSON.parse(
      '{"text":"\\u0001sa","Symbol(spillway.cache.key)":"\\u0001sa","__proto__":{"a":1}}',
    )
    expect(() => encodeKey(hostile)).toThrow(/cache key must be/)
    for (const each of [undefined, {}, () => 1]) {
      expect(() => encodeKey(each as unknown as CacheKey)).toThrow(/cache key must be/)
    }
    for (const each of [null, true, false]) {
      expect(encodeKey(each as unknown as CacheKey).startsWith('\u0001s')).toBe(false)
    }
  })
})
