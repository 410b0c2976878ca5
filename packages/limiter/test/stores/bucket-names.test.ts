import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import express, { type RequestHandler } from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { BucketNames } from '../../src/bucket/bucket-names.js'
import { type ExpressRateLimitOptions, rateLimit } from '../../src/express.js'
import { rateLimit as fastifyRateLimit } from '../../src/fastify.js'
import {
  type Answer,
  defineLimit,
  limiters,
  RateLimiter,
  type RateLimiterOptions,
  redisStore,
  serveClusterStore,
} from '../../src/index.js'
import { rateLimit as koaRateLimit } from '../../src/koa.js'
import { collect } from '../collect.js'
import { forkWorker } from '../subjects.js'
import { everyStore } from './every-store.js'

const { redis, flush, stores } = everyStore()
afterEach(flush)

type Ways = Record<string, (limit: number) => ExpressRateLimitOptions>

/** Each way in which a limit can be given, without a name. */
const ways: Ways = {
  'a number': (limit) => ({ limit, window: '15m' }),
  'capacity and refill': (limit) => ({ capacity: limit, refill: { tokens: limit, per: '15m' } }),
  'a function': (limit) => ({ limit: () => limit, window: '15m' }),
  'a function that takes its time': (limit) => ({ limit: async () => limit, window: '15m' }),
  'windowMs and max': (max) => ({ windowMs: 900_000, max }),
  'windowMs and limit as a function': (limit) => ({ windowMs: 900_000, limit: () => limit }),
  limitFor: (limit) => ({ limit: 1, window: '15m', limitFor: () => ({ limit, window: '15m' }) }),
  'the plan of the user': (limit) => {
    const plan = defineLimit({ name: 'plan', limit, window: '15m' })
    return { limit: 1, window: '15m', limitFor: () => plan }
  },
}

/** Statuses of so many calls of a path. */
async function serving(routes: Record<string, RequestHandler>) {
  const app = express()
  for (const [path, handler] of Object.entries(routes))
    app.get(path, handler, (_, res) => void res.send('ok'))
  app.use((error: { status?: number }, _req: unknown, res: express.Response, _next: unknown) => {
    res.status(error.status ?? 500).end()
  })
  const listening = app.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  onTestFinished(() => void listening.close())
  const origin = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
  return async (path: string, times: number): Promise<number[]> => {
    const statuses: number[] = []
    for (let i = 0; i < times; i++) statuses.push((await fetch(origin + path)).status)
    return statuses
  }
}

describe.each(Object.entries(stores))('on %s', (_, open) => {
  it.each(Object.keys(ways))('L50 two limiters do not share a bucket: %s', async (way) => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const store = open()
    const limit = ways[way]!
    const call = await serving({
      '/api': rateLimit({ ...limit(4), store }),
      '/login': rateLimit({ ...limit(2), store }),
      '/again': rateLimit({ ...limit(4), store }),
    })
    expect(await call('/api', 5)).toEqual([200, 200, 200, 200, 429])
    expect(await call('/login', 3)).toEqual([200, 200, 429])
    expect(await call('/again', 5)).toEqual([200, 200, 200, 200, 429])
  })

  it.each(Object.keys(ways))('L50 two limiters of one name share their buckets: %s', async (way) => {
    const store = open()
    const limit = ways[way]!
    const call = await serving({
      '/a': rateLimit({ ...limit(3), store, name: 'one' }),
      '/b': rateLimit({ ...limit(3), store, name: 'one' }),
    })
    expect(await call('/a', 2)).toEqual([200, 200])
    expect(await call('/b', 2)).toEqual([200, 429])
  })

  it.each(Object.keys(ways))('L50 one limiter on several routes is one limiter: %s', async (way) => {
    const once = rateLimit({ ...ways[way]!(3), store: open() })
    const call = await serving({ '/a': once, '/b': once })
    expect(await call('/a', 2)).toEqual([200, 200])
    expect(await call('/b', 2)).toEqual([200, 429])
  })

  it('L50 a name that looks like the numbers of another limiter is another name', async () => {
    const store = open()
    const names = ['2-in-15m', 'varying-in-15m', '1-in-15m']
    const call = await serving({
      '/plain': rateLimit({ limit: 2, window: '15m', store }),
      '/function': rateLimit({ limit: () => 2, window: '15m', store }),
      ...Object.fromEntries(
        names.map((name) => [`/${name}`, rateLimit({ limit: 2, window: '15m', store, name })]),
      ),
    })
    for (const path of ['plain', 'function', ...names]) {
      expect(await call(`/${path}`, 3), path).toEqual([200, 200, 429])
    }
  })

  it('L50 sets of limits without names do not share, and each keeps its own limits apart', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const store = open()
    const member = (limit: number) =>
      new RateLimiter<Answer>({ limit, window: '1h', store } as RateLimiterOptions)
    const [first, second] = [limiters.all([member(2), member(3)]), limiters.all([member(2), member(3)])]
    for (const each of [first, second]) {
      const allowed: boolean[] = []
      for (let i = 0; i < 3; i++) allowed.push((await each.consume('a')).allowed)
      expect(allowed).toEqual([true, true, false])
      const parts = (await each.peek('a', { cost: 0 })).parts
      expect(parts?.map(({ remaining }) => remaining)).toEqual([0, 1])
    }
  })
})

describe('limiters that are not closed', () => {
  it('L50 leave no names behind when they are garbage', async () => {
    const names = new BucketNames()
    const limit = defineLimit({ limit: 1, window: '1h' })
    for (let i = 1; i <= 1_000; i++) names.claim(limit, false)
    await expect
      .poll(
        () => {
          collect()
          return names.claim(limit, false).ordinal
        },
        { timeout: 20_000 },
      )
      .toBeLessThan(1_000)
  })

  it.each(Object.keys(stores))(
    'L50 keep their names as long as a set of limits uses them: %s',
    async (kind) => {
      vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
      const store = stores[kind]!()
      const made = (limit: number) =>
        new RateLimiter<Answer>({ limit, window: '1h', store } as RateLimiterOptions)
      // In a function of its own: no variable of this one keeps the members.
      const both = (() => limiters.all([made(2), made(3)]))()
      for (let i = 0; i < 2; i++) expect((await both.consume('a')).allowed).toBe(true)
      for (let i = 0; i < 5; i++) {
        collect()
        await setImmediate()
      }
      expect((await made(2).consume('a')).remaining).toBe(1)
      expect((await both.consume('a')).allowed).toBe(false)
    },
  )
})

describe('a limiter that is made while a request is handled', () => {
  async function warned(build: (rateLimit: typeof fastifyRateLimit) => Promise<ReturnType<typeof Fastify>>) {
    const codes: unknown[] = []
    vi.spyOn(process, 'emitWarning').mockImplementation((_, options) => {
      codes.push((options as { code?: string }).code)
    })
    const app = await build(fastifyRateLimit)
    onTestFinished(() => app.close())
    for (let i = 0; i < 3; i++) expect((await app.inject('/')).statusCode).toBe(200)
    return codes
  }

  it('L50 is warned of once, since it counts nothing', async () => {
    vi.resetModules()
    const { rateLimit } = await import('../../src/express.js')
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const store = redisStore(redis(), { deadline: '20s' })
    const call = await serving({
      '/': (req, res, next) => void rateLimit({ limit: 1, window: '1h', store })(req, res, next),
    })
    await call('/', 3)
    const codes = warning.mock.calls.map(([, options]) => (options as { code: string }).code)
    expect(codes.filter((code) => code === 'SPILLWAY_LIMIT_PER_REQUEST')).toHaveLength(1)
  })

  it('L50 is not warned of when it is that of a route registered before the plugin, made once', async () => {
    const codes = await warned(async (rateLimit) => {
      const app = Fastify()
      app.get('/', { config: { rateLimit: { limit: 9, window: '1h' } } }, async () => 'ok')
      await app.register(rateLimit, { limit: 9, window: '1h' })
      return app
    })
    expect(codes).toEqual([])
  })

  it('L50 is not warned of when the limiter itself was made before', async () => {
    vi.resetModules()
    const { rateLimit } = await import('../../src/express.js')
    const { RateLimiter } = await import('../../src/index.js')
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const limiter = new RateLimiter({ limit: 1, window: '1h' })
    const call = await serving({
      '/': (req, res, next) => void rateLimit({ limiter })(req, res, next),
    })
    expect(await call('/', 2)).toEqual([200, 429])
    expect(warning).not.toHaveBeenCalled()
  })
})

describe('names that nobody gave', () => {
  it('L50 are apart for the same limit on three frameworks, over one Redis', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const limit = () => ({
      limit: 1,
      window: '3h' as const,
      key: () => 'a',
      store: redisStore(redis(), { deadline: '20s' }),
    })
    const fastify = Fastify()
    onTestFinished(() => fastify.close())
    await fastify.register(fastifyRateLimit, limit())
    fastify.get('/', async () => 'ok')
    const koa = new Koa()
    koa.use(koaRateLimit(limit()))
    koa.use((ctx) => {
      ctx.body = 'ok'
    })
    const call = await serving({ '/': rateLimit(limit()) })
    const koaServer = createServer(koa.callback()).listen(0, '127.0.0.1')
    await once(koaServer, 'listening')
    onTestFinished(() => void koaServer.close())
    const origin = `http://127.0.0.1:${(koaServer.address() as AddressInfo).port}`
    for (const status of [200, 429]) {
      expect(await call('/', 1)).toEqual([status])
      expect((await fastify.inject('/')).statusCode).toBe(status)
      expect((await fetch(origin)).status).toBe(status)
    }
  })

  it('L50 agree in all workers that make the same limiters, and are apart for each limiter', async () => {
    const primary = serveClusterStore()
    const workers = await Promise.all([1, 2].map(() => forkWorker({ deadline: '20s' })))
    onTestFinished(async () => {
      await Promise.all(workers.map((worker) => worker.stop()))
      await primary.close()
    })
    const settings = { limit: 2, window: '1h' } as const
    const made: Awaited<ReturnType<(typeof workers)[0]['limiter']>>[][] = []
    for (const worker of workers) made.push([await worker.limiter(settings), await worker.limiter(settings)])
    for (const which of [0, 1]) {
      const allowed: boolean[] = []
      for (let i = 0; i < 3; i++) allowed.push((await made[i % 2]![which]!.consume('a')).allowed)
      expect(allowed).toEqual([true, true, false])
    }
  })

  it('L50 are apart for two stores with clients of their own, and free again when a limiter is closed', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const make = () => new RateLimiter({ limit: 1, window: '2h', store: redisStore(redis()) })
    const [first, second] = [make(), make()]
    expect((await first.consume('a')).allowed).toBe(true)
    expect((await second.consume('a')).allowed).toBe(true)
    await first.close()
    const heir = make()
    expect((await heir.consume('a')).allowed).toBe(false)
    await Promise.all([second.close(), heir.close()])
  })

  it('L50 warn once when their order decides', async () => {
    vi.resetModules()
    const { RateLimiter, redisStore } = await import('../../src/index.js')
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const store = redisStore(redis(), { prefix: 'order' })
    for (let i = 0; i < 3; i++) new RateLimiter({ limit: 7, window: '1h', store })
    for (let i = 0; i < 3; i++) new RateLimiter({ limit: 8, window: '1h', store, name: 'eight' })
    expect(warning.mock.calls).toEqual([
      [expect.stringContaining('"7-in-1h"'), { code: 'SPILLWAY_LIMIT_UNNAMED' }],
    ])
  })

  it('L50 header and policy of a function limit speak of its own numbers, under a name without a number', async () => {
    const app = express()
    app.get(
      '/',
      rateLimit({ limit: () => 100, window: '15m', store: redisStore(redis()) }),
      (_, res) => void res.end(),
    )
    const listening = app.listen(0, '127.0.0.1')
    await once(listening, 'listening')
    onTestFinished(() => void listening.close())
    const { headers } = await fetch(`http://127.0.0.1:${(listening.address() as AddressInfo).port}`)
    expect(headers.get('ratelimit-policy')).toBe('"varying-in-15m";q=100;w=900')
  })
})

describe('routes of Fastify', () => {
  /** Two routes before the plugin, whose limiters are made by their first requests, and two after. */
  async function build(): Promise<ReturnType<typeof Fastify>> {
    const app = Fastify()
    onTestFinished(() => app.close())
    const limit = () => ({ config: { rateLimit: { limit: 1, window: '1h' as const } } })
    app.get('/early', limit(), async () => 'ok')
    app.post('/early', limit(), async () => 'ok')
    await app.register(fastifyRateLimit, {
      limit: 9,
      window: '1h',
      key: () => 'all',
      store: redisStore(redis()),
    })
    app.get('/late', limit(), async () => 'ok')
    app.get('/later', limit(), async () => 'ok')
    app.get('/dear', { config: { rateLimit: { cost: 4 } } }, async () => 'ok')
    app.get('/', async () => 'ok')
    return app
  }

  it('L50 have limits of their own, the same in every process, whatever is called first', async () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const calls = [
      { method: 'GET', url: '/early' },
      { method: 'POST', url: '/early' },
      { method: 'GET', url: '/late' },
      { method: 'GET', url: '/later' },
    ] as const
    // Two processes differ in their registers of names; here the second one starts with an empty one.
    const first = await build()
    for (const call of calls) expect((await first.inject(call)).statusCode).toBe(200)
    Reflect.deleteProperty(globalThis, Symbol.for('spillway.limiter.names'))
    const second = await build()
    for (const call of [...calls].reverse()) expect((await second.inject(call)).statusCode).toBe(429)
  })

  it('L50 count in the limit of the app when they say nothing about a limit', async () => {
    const app = await build()
    const left: unknown[] = []
    for (const url of ['/', '/dear', '/', '/dear']) left.push((await app.inject(url)).headers.ratelimit)
    expect(left.map((field) => /r=(\d+)/.exec(String(field))?.[1])).toEqual(['8', '4', '3', '3'])
  })
})
