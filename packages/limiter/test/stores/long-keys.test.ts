import fc from 'fast-check'
import type { Redis } from 'ioredis'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import {
  type Answer,
  ConcurrencyLimiter,
  limiters,
  RateLimiter,
  type RateLimiterOptions,
  redisStore,
  serveClusterStore,
} from '../../src/index.js'
import { collect } from '../collect.js'
import { forkWorker } from '../subjects.js'
import { everyStore } from './every-store.js'

const { redis, stores } = everyStore()
let client: Redis
beforeAll(() => {
  client = redis()
})

const digest = /^#[\da-f]{64}$/

describe.each(Object.entries(stores))('keys on %s', (_, open) => {
  const limiterOf = (options: object = {}) =>
    new RateLimiter<Answer>({
      name: `n${Math.random()}`,
      limit: 3,
      window: '30d',
      store: open(),
      ...options,
    } as RateLimiterOptions)

  it('S15 of any length are told apart, for every call', async () => {
    const limiter = limiterOf({ denyCache: false })
    const stem = 'x'.repeat(16_000)
    const keys = [
      `${stem}a`,
      `${stem}b`,
      '漢'.repeat(64),
      '漢'.repeat(65),
      '\ud800'.repeat(70),
      '\ud801'.repeat(70),
    ]
    for (const key of keys) {
      expect((await limiter.consume(key)).remaining, key.slice(-1)).toBe(2)
      expect((await limiter.peek(key, { cost: 0 })).remaining).toBe(2)
      await limiter.settle(await limiter.consume(key, { cost: 2 }), 1)
      expect((await limiter.refund(key)).remaining).toBe(2)
      expect((await limiter.reset(key)).remaining).toBe(3)
      expect((await limiter.wait(key)).remaining).toBe(2)
    }
  })

  it('S15 with lone surrogates, which are one character in UTF-8, are told apart', async () => {
    const limiter = limiterOf({ limit: 1 })
    const keys = [
      '\ud800',
      '\ud801',
      '\udc00',
      '\ufffd',
      'a\ud800',
      'a\ufffd',
      '\ud83d\ude00',
      '\ude00\ud83d',
    ]
    for (const key of keys) expect((await limiter.consume(key)).allowed, JSON.stringify(key)).toBe(true)
    for (const key of keys) expect((await limiter.consume(key)).allowed, JSON.stringify(key)).toBe(false)
  })

  it('S15 that look like a digest are not the key that they are the digest of', async () => {
    const limiter = limiterOf()
    const long = 'k'.repeat(65)
    const { key } = await limiter.consume(long, { cost: 3 })
    expect(key).toMatch(digest)
    for (const forged of [key, key.slice(1), key.slice(0, 64)]) {
      expect((await limiter.consume(forged)).allowed).toBe(true)
    }
  })

  it('S15 of up to 64 bytes stay as they are', async () => {
    const limiter = limiterOf({ limit: 1_000_000 })
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1, maxLength: 64 }), async (key) => {
        expect((await limiter.consume(key)).key).toBe(key)
      }),
    )
  })
})

describe('what a table keeps', () => {
  it('S15 of 12,000 keys of 14 kB is some hundred bytes each, and counted', () => {
    const limiter = new RateLimiter({ limit: 3, window: '1h' })
    collect()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 12_000; i++) limiter.consume(Buffer.alloc(14_000, `${i}-`).toString('latin1'))
    collect()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(12_000 * 600)
    const { keys, bytes } = limiter.stats().store
    expect(keys).toBe(12_000)
    expect(bytes).toBeGreaterThan(12_000 * (16 + 65))
    expect(bytes).toBeLessThan(12_000 * 600)
    limiter.reset(Buffer.alloc(14_000, '0-').toString('latin1'))
    expect(limiter.stats().store.bytes).toBeLessThan(bytes)
  })

  it('S15 in Redis is a key of bounded length', async () => {
    await client.flushall()
    const store = redisStore(client, { deadline: '20s' })
    const limiter = new RateLimiter({ name: 'bounded', limit: 3, window: '1h', store })
    await Promise.all(
      ['a'.repeat(10_000), '漢'.repeat(40), '😀'.repeat(32), 'short'].map((key) => limiter.consume(key)),
    )
    const buckets = (await client.keys('*')).filter((key) => key.includes('bounded'))
    expect(buckets).toHaveLength(4)
    for (const bucket of buckets)
      expect(Buffer.byteLength(bucket)).toBeLessThanOrEqual('spillway:{}:bounded'.length + 65)
    await store.close()
  })

  it('S15 is the same in all processes', async () => {
    const primary = serveClusterStore()
    const workers = await Promise.all([forkWorker({ deadline: '20s' }), forkWorker({ deadline: '20s' })])
    onTestFinished(async () => {
      await Promise.all(workers.map((worker) => worker.stop()))
      await primary.close()
    })
    const long = 'z'.repeat(9_000)
    const remaining: number[] = []
    for (const worker of workers) {
      const limiter = await worker.limiter({ name: 'all', limit: 3, window: '1h' })
      remaining.push((await limiter.consume(long)).remaining)
    }
    expect(remaining).toEqual([2, 1])
    const { keys, bytes } = primary.stats()
    expect(keys).toBe(1)
    expect(bytes).toBeLessThan(2_000)
  })

  it('S15 beside a shared store is bounded and counted: denials, leases, buckets of the policy', async () => {
    const store = redisStore(client, { deadline: '20s' })
    const limiter = new RateLimiter({
      limit: 1,
      window: '30d',
      store,
      denyCache: '1h',
      lease: { max: 4, idle: '1h' },
    })
    const keys = Array.from({ length: 10_050 }, (_, i) => `${i}-`.padEnd(1_000, 'y'))
    for (let round = 0; round < 2; round++) await Promise.all(keys.map((key) => limiter.consume(key)))
    const shared = limiter.stats().remembered
    expect(shared.keys).toBe(20_000)
    expect(shared.bytes).toBeLessThan(20_000 * 600)
    const gone = new RateLimiter({
      limit: 1,
      window: '30d',
      store: redisStore({ callBuffer: () => Promise.reject(new Error('gone')), on() {}, off() {} }),
    })
    gone.limits
    await Promise.all(keys.slice(0, 500).map((key) => gone.consume(key)))
    expect(gone.stats().remembered.keys).toBe(500)
    expect(gone.stats().remembered.bytes).toBeGreaterThan(500 * 65)
    const both = limiters.all([
      new RateLimiter({ name: 'a', limit: 1, window: '1h' }),
      new RateLimiter({ name: 'b', limit: 1, window: '1h' }),
    ])
    both.consume('x'.repeat(99))
    expect(both.stats().remembered).toEqual({ keys: 0, bytes: 0 })
    await limiter.close()
  })

  it('S15 of calls in flight is some hundred bytes for each key', () => {
    const limiter = new ConcurrencyLimiter({ limit: 3_000, perKey: 1 })
    collect()
    const before = process.memoryUsage().heapUsed
    const permits = Array.from({ length: 3_000 }, (_, i) =>
      limiter.tryAcquire(Buffer.alloc(14_000, `${i}-`).toString('latin1')),
    )
    collect()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(3_000 * 1_500)
    expect(limiter.stats().keys).toBe(3_000)
    expect(limiter.tryAcquire(Buffer.alloc(14_000, '7-').toString('latin1'))).toBeUndefined()
    for (const permit of permits) permit?.release()
    expect(limiter.stats()).toMatchObject({ keys: 0, inFlight: 0 })
  })

  it('S15 in the lines of wait is bounded', async () => {
    const limiter = new RateLimiter({ limit: 1, window: '30d' })
    limiter.consume('a')
    const waiting = Array.from({ length: 10_000 }, () =>
      limiter.wait('a', { maxWait: '60d' }).catch(() => {}),
    )
    expect(limiter.stats().waiting).toBe(10_000)
    await expect(limiter.wait('b', { maxWait: '60d' })).rejects.toMatchObject({ code: 'ERR_LIMITER_LIMITED' })
    await limiter.close()
    await Promise.all(waiting)
  })
})
