import { type RedisServer, startRedis } from '@spillway/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type CacheOptions, redisStore } from '../../src/index.js'
import { type Behind, behind, statusOf } from './stand.js'

/** The clocks of nodes differ: how old a response is, is the store's to say. */

const MINUTES = 60_000
const HOST = { host: 'app.example' }
let redis: RedisServer

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]()
})

describe.each([10 * MINUTES, -10 * MINUTES])('a node whose clock is %i ms ahead', (wrong) => {
  /**
   * Two nodes with one store; the second has the wrong time. All that the process asks `Date.now()` is answered with that
   * time while the second node works: not only the clock of the cache is wrong on such a machine.
   */
  const nodes = async (
    name: string,
    control: string,
    work: (right: Behind, askOther: Behind['get']) => Promise<void>,
  ) => {
    const clients = [new Redis(redis.url()), new Redis(redis.url())]
    const cacheOf = (at: number): CacheOptions => ({
      name: `clocks-${name}-${wrong < 0 ? 'behind' : 'ahead'}`,
      store: redisStore(clients[at]!),
      jitter: 0,
      clock: { now: () => Date.now() },
    })
    const right = Date.now
    const wrongly = async <T>(work: () => Promise<T>): Promise<T> => {
      const clock = vi.spyOn(Date, 'now').mockImplementation(() => right() + wrong)
      try {
        return await work()
      } finally {
        clock.mockRestore()
      }
    }
    let runs = 0
    const reply = () => {
      runs++
      return { status: runs > 1 ? 503 : 200, headers: { 'cache-control': control }, body: `run ${runs}` }
    }
    try {
      await behind('express5', { reply, cache: cacheOf(0) }, (one) =>
        behind('express5', { reply, cache: cacheOf(1) }, async (two) => {
          for (const { cache } of [one, two]) {
            await cache.get('warm')
            await expect.poll(() => cache.stats().l2!.busHealthy, { timeout: 10_000 }).toBe(true)
          }
          await work(one, (headers) => wrongly(() => two.get(headers)))
        }),
      )
    } finally {
      for (const client of clients) client.disconnect()
    }
  }

  it('H26 tells the same age and freshness as the others', () =>
    nodes('age', 'public, max-age=60', async (right, askOther) => {
      await right.get(HOST)
      const answer = await askOther(HOST)
      expect([answer.status, answer.text]).toEqual([200, 'run 1'])
      expect(Number(answer.headers.age)).toBeLessThan(30)
      expect(statusOf(answer)).toMatch(/^spillway; hit; ttl=[3-6]\d$/)
      const again = await askOther(HOST)
      expect(Number(again.headers.age)).toBeLessThan(30)
    }))

  it('H26 serves what is stale when its handler fails, as long as the others', () =>
    nodes(
      'error',
      'public, max-age=0, stale-while-revalidate=1, stale-if-error=300',
      async (right, askOther) => {
        await right.get(HOST)
        // The window of stale-while-revalidate is a second by the server's clock, which nothing here can move.
        const end = performance.now() + 1_100
        await expect.poll(() => performance.now(), { timeout: 5_000 }).toBeGreaterThan(end)
        const answer = await askOther(HOST)
        expect([answer.status, answer.text]).toEqual([200, 'run 1'])
        expect(Number(answer.headers.age)).toBeLessThan(30)
      },
    ))

  it('H26 what it stores is as old for the others as it is', () =>
    nodes('stored', 'public, max-age=60', async (right, askOther) => {
      await askOther(HOST)
      const answer = await right.get(HOST)
      expect(answer.text).toBe('run 1')
      expect(Number(answer.headers.age)).toBeLessThan(30)
      expect(statusOf(answer)).toMatch(/^spillway; hit; ttl=[3-6]\d$/)
    }))
})
