import { heardInRequests } from '@spillway/kit/testing'
import { type RedisServer, startRedis } from '@spillway/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RateLimiter, type RateLimiterOptions, redisStore } from '../../src/index.js'
import { quiet } from '../subjects.js'
import { fresh } from './contract.js'

/** Decisions travel together; each denial is told of in the context of the request that it was for. */

const REQUESTS = Array.from({ length: 12 }, (_, request) => request)
const DENIED = ['spillway:limiter:denied']

let server: RedisServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server[Symbol.asyncDispose]())

async function limiting(
  options: Partial<RateLimiterOptions>,
  work: (limiter: RateLimiter) => Promise<void>,
): Promise<void> {
  const client = quiet(new Redis(server.port, server.host))
  const store = redisStore(client, { deadline: '2s' })
  const limiter = new RateLimiter({ name: fresh(), limit: 1, window: '1h', ...options, store } as never)
  try {
    await work(limiter)
  } finally {
    await limiter.close()
    await store.close()
    client.disconnect()
  }
}

describe('T6 the context of a denial', () => {
  it('T6 is its own request, of 12 at once with keys of their own', () =>
    limiting({}, async (limiter) => {
      for (const request of REQUESTS) await limiter.consume(`k${request}`)
      const heard = await heardInRequests(DENIED, 12, (request) => limiter.consume(`k${request}`))
      expect(heard.map(({ request }) => request).sort((a, b) => a! - b!)).toEqual(REQUESTS)
    }))

  it('T6 is its own request, of 12 at once for one key, which are one question', () =>
    limiting({ denyCache: false }, async (limiter) => {
      await limiter.consume('k')
      const heard = await heardInRequests(DENIED, 12, () => limiter.consume('k'))
      expect(heard.map(({ request }) => request).sort((a, b) => a! - b!)).toEqual(REQUESTS)
    }))

  it('T6 is its own request, of 12 that stand in line for a lease', () =>
    limiting({ limit: 2, lease: { max: 2 }, denyCache: false } as never, async (limiter) => {
      const heard = await heardInRequests(DENIED, 12, () => limiter.consume('k'))
      expect(heard).toHaveLength(10)
      expect(new Set(heard.map(({ request }) => request)).size).toBe(10)
      expect(heard.map(({ request }) => request)).not.toContain(undefined)
    }))

  it('T6 is its own request, when the store does not answer', () =>
    limiting({ onStoreFailure: 'deny' }, async (limiter) => {
      await limiter.consume('first')
      await server.stop()
      const heard = await heardInRequests(DENIED, 12, (request) => limiter.consume(`k${request}`))
      expect(heard.map(({ request }) => request).sort((a, b) => a! - b!)).toEqual(REQUESTS)
    }))
})
