import { AsyncLocalStorage } from 'node:async_hooks'
import { heardInRequests } from '@spillway/kit/testing'
import { type RedisServer, startRedis } from '@spillway/testkit'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Cache, type CacheOptions, type LoadContext, redisStore } from '../../src/index.js'

/** Reads travel together and loads are shared; each caller is told of in the context of its own request. */

const REQUESTS = Array.from({ length: 12 }, (_, request) => request)

let server: RedisServer
const open: (() => unknown)[] = []
beforeAll(async () => {
  server = await startRedis()
})
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})
afterAll(() => server[Symbol.asyncDispose]())

function shared(): Cache {
  const client = new Redis(server.port, server.host)
  open.push(() => client.disconnect())
  return made({ name: `app${open.length}`, l1: false, store: redisStore(client) })
}

function made(options: CacheOptions = {}): Cache {
  const cache = new Cache({ jitter: 0, ...options })
  open.push(() => cache.close())
  return cache
}

const sorted = (requests: readonly (number | undefined)[]) => [...requests].sort((a, b) => a! - b!)

describe('T6 the context of a look-up and a load', () => {
  it('T6 is its own request, of 12 at once: miss, load, then hit in one batch of reads', async () => {
    const cache = shared()
    const channels = ['spillway:cache:miss', 'spillway:cache:load', 'spillway:cache:hit']
    const get = (request: number) => cache.getOrSet(`k${request}`, async () => request)
    const first = await heardInRequests(channels, 12, get)
    const second = await heardInRequests(channels, 12, get)
    const on = (heard: typeof first, name: string) =>
      sorted(heard.filter(({ channel }) => channel === name).map(({ request }) => request))
    expect(on(first, 'spillway:cache:miss')).toEqual(REQUESTS)
    expect(on(first, 'spillway:cache:load')).toEqual(REQUESTS)
    expect(on(second, 'spillway:cache:hit')).toEqual(REQUESTS)
  })

  it('T6 is its own request, of 12 loads that another context ends', async () => {
    const cache = shared()
    const abort = new AbortController()
    const heard = await heardInRequests(['spillway:cache:load'], 13, async (request) => {
      if (request < 12) {
        await cache
          .getOrSet(`hang${request}`, () => new Promise<never>(() => {}), { signal: abort.signal })
          .catch(() => {})
      } else {
        await expect.poll(() => cache.stats().loads).toBe(12)
        abort.abort()
      }
    })
    expect(sorted(heard.map(({ request }) => request))).toEqual(REQUESTS)
  })

  it('T6 the loader of a caller who joined, and has to ask anew, finds its own request', async () => {
    const cache = made()
    const storage = new AsyncLocalStorage<string>()
    const loads: (string | undefined)[] = []
    let release = () => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    const load = async ({ setTags }: LoadContext) => {
      loads.push(storage.getStore())
      setTags(['t'])
      if (loads.length === 1) await held
      return loads.length
    }
    const first = storage.run('first', () => cache.getOrSet('k', load))
    await expect.poll(() => loads.length).toBe(1)
    await cache.deleteByTag('t')
    // It comes after the invalidation, so the value of the load under way may be too old for it.
    const joined = storage.run('joined', () => cache.getOrSet('k', load))
    release()
    await Promise.all([first, joined])
    expect(loads).toEqual(['first', 'joined'])
  })
})
