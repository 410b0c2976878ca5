import {
  type Answer,
  askAndLeave,
  FRAMEWORKS,
  type Framework,
  latch,
  type Mounts,
  type RunningApp,
  type Site,
  serving,
  until,
} from '@spillway/kit/testing'
import type { Request, Response } from 'express'
import express from 'express'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import type { Context } from 'koa'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import {
  decisionOf as decisionOfExpress,
  type ExpressRateLimitOptions,
  rateLimit as expressRateLimit,
} from '../../src/express.js'
import { type FastifyRateLimitOptions, rateLimit as fastifyRateLimit } from '../../src/fastify.js'
import { limiters, memoryStore, RateLimiter, redisStore } from '../../src/index.js'
import { type KoaRateLimitOptions, rateLimit as koaRateLimit } from '../../src/koa.js'

/** Options that need nothing of the framework. */
type Options = ExpressRateLimitOptions & FastifyRateLimitOptions & KoaRateLimitOptions

const mounts = (...all: object[]): Mounts => ({
  express: (app) => all.map((options) => app.use(expressRateLimit(options as Options))),
  fastify: (app) => all.map((options) => app.register(fastifyRateLimit, options as Options)),
  koa: (app) => all.map((options) => app.use(koaRateLimit(options as Options))),
})

const OK: Site['routes'] = { 'GET /': () => ({}), 'GET /fail': () => ({ status: 500 }) }

function withApp<T>(
  framework: Framework,
  options: object,
  work: (app: RunningApp) => Promise<T>,
): Promise<T> {
  return serving(framework, { routes: OK, mounts: mounts(options) }, work)
}

const statuses = async (app: RunningApp, n: number, path = '/', init = {}) => {
  const answers: Answer[] = []
  for (let i = 0; i < n; i++) answers.push(await app.ask(path, init))
  return answers.map(({ status }) => status)
}

describe.each(FRAMEWORKS)('rateLimit on %s', (framework) => {
  it('L30, L31: the fields of drafts 08 to 11, and Retry-After in whole seconds', () =>
    withApp(framework, { name: 'api', limit: 1, window: 900 }, async (app) => {
      const first = await app.ask('/')
      expect(first.headers['ratelimit-policy']).toBe('"api";q=1;w=1')
      expect(first.headers.ratelimit).toBe('"api";r=0;t=1')
      expect(first.headers['retry-after']).toBeUndefined()
      const second = await app.ask('/')
      expect(second.status).toBe(429)
      expect(second.headers['retry-after']).toBe('1')
      expect(second.headers.ratelimit).toBe('"api";r=0;t=1')
    }))

  it('L30: 30 days are 2592000 seconds', () =>
    withApp(framework, { limit: 1, window: '30d' }, async (app) => {
      await app.ask('/')
      expect((await app.ask('/')).headers['retry-after']).toBe('2592000')
    }))

  it('L31: several limits are one list, whether decided together or one after the other', async () => {
    const store = memoryStore()
    const burst = { name: 'burst', limit: 5, window: '1m' } as const
    const day = { name: 'day', limit: 100, window: '1d' } as const
    const limiter = limiters.all([new RateLimiter({ ...burst, store }), new RateLimiter({ ...day, store })])
    for (const each of [mounts({ limiter }), mounts(burst, day)]) {
      await serving(framework, { routes: OK, mounts: each }, async (app) => {
        const { headers } = await app.ask('/')
        expect(headers['ratelimit-policy']).toBe('"burst";q=5;w=60, "day";q=100;w=86400')
        expect(headers.ratelimit).toBe('"burst";r=4;t=12, "day";r=99;t=864')
      })
    }
  })

  it('L33: counts in every limiter on a route', () =>
    serving(
      framework,
      {
        routes: OK,
        mounts: mounts({ name: 'day', limit: 100, window: '1d' }, { name: 'second', limit: 1, window: '1h' }),
      },
      async (app) => expect(await statuses(app, 4)).toEqual([200, 429, 429, 429]),
    ))

  it('L4, L7: forged X-Forwarded-For mints no buckets; the same resolver everywhere', async () => {
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    onTestFinished(() => warning.mockRestore())
    const forged = async (app: RunningApp) => {
      const seen: number[] = []
      for (const n of [1, 2, 3]) {
        seen.push((await app.ask('/', { headers: { 'x-forwarded-for': `6.6.6.${n}, 9.9.9.9` } })).status)
      }
      return seen
    }
    const limit = { capacity: 1, refill: { tokens: 0, per: '1s' } }
    await withApp(framework, limit, async (app) => expect(await forged(app)).toEqual([200, 429, 429]))
    await withApp(framework, { ...limit, trust: 1 }, async (app) => {
      expect(await forged(app)).toEqual([200, 429, 429])
      expect((await app.ask('/', { headers: { 'x-forwarded-for': '9.9.9.8' } })).status).toBe(200)
    })
    await withApp(framework, { ...limit, trust: ['127.0.0.0/8'] }, async (app) => {
      expect(await forged(app)).toEqual([200, 429, 429])
    })
    await withApp(framework, { ...limit, trust: 2 }, async (app) => {
      expect(await forged(app)).toEqual([200, 200, 200])
    })
  })

  it('L36: gives the cost back by status, once', () =>
    withApp(
      framework,
      { capacity: 2, refill: { tokens: 0, per: '1s' }, refundOn: (status: number) => status >= 500 },
      async (app) => {
        for (let i = 0; i < 4; i++) {
          expect((await app.ask('/fail')).status).toBe(500)
          await app.idle()
        }
        expect(await statuses(app, 3)).toEqual([200, 200, 429])
      },
    ))

  it('L36: gives the cost back when the client leaves', async () => {
    const [entered, held] = [latch(), latch()]
    const limiter = new RateLimiter({ capacity: 1, refill: { tokens: 0, per: '1s' } })
    const options = { limiter, key: () => 'a', refundOn: (_: number, aborted: boolean) => aborted }
    const routes: Site['routes'] = {
      'GET /': async () => {
        entered.open()
        await held.promise
        return {}
      },
    }
    await serving(framework, { routes, mounts: mounts(options) }, async (app) => {
      await askAndLeave(`${app.origin}/`)
      await entered.promise
      await until(() => limiter.peek('a').allowed, 'the cost is given back')
      held.open()
      await app.idle()
      expect(limiter.peek('a').remaining).toBe(1)
    })
  })

  it('takes key, cost, skip and limits of the user, synchronous or not', async () => {
    const header = (native: Request | FastifyRequest | Context, name: string) =>
      native.headers[name] as string
    const limiter = new RateLimiter({ name: 'x', capacity: 10, refill: { tokens: 0, per: '1s' } })
    const plan = { capacity: 100, refill: { tokens: 0, per: '1s' } }
    for (const later of [<T>(value: T) => value, <T>(value: T) => Promise.resolve(value)]) {
      const options = {
        limiter,
        key: (native: Request) => later(header(native, 'x-key')),
        cost: (native: Request) => later(Number(header(native, 'x-cost'))),
        skip: (native: Request) => later(header(native, 'x-skip') === 'yes'),
        limitFor: (native: Request) => later(header(native, 'x-plan') ? plan : undefined),
      }
      await withApp(framework, options, async (app) => {
        const ask = async (headers: Record<string, string>) => {
          const { headers: shown } = await app.ask('/', { headers: { 'x-key': 'a', ...headers } })
          return shown.ratelimit
        }
        expect(await ask({ 'x-cost': '4' })).toBe('"x";r=6')
        expect(await ask({ 'x-skip': 'yes' })).toBeUndefined()
        expect(await ask({ 'x-cost': '4', 'x-plan': 'gold' })).toBe('"x";r=92')
        expect(await ask({ 'x-cost': '4', 'x-key': 'b' })).toBe('"x";r=6')
        limiter.reset('a')
        limiter.reset('b')
      })
    }
  })

  it('L8: a missing key is an error, unless the app says what it means', async () => {
    const limit = { limit: 1, window: '1h', key: () => undefined }
    const ask = (options: object) =>
      withApp(framework, { ...limit, ...options }, async (app) => statuses(app, 2))
    expect(await ask({})).toEqual([500, 500])
    expect(await ask({ onMissingKey: 'allow' })).toEqual([200, 200])
    expect(await ask({ onMissingKey: 'deny' })).toEqual([429, 429])
  })

  it('an error of a user function reaches the error handler', async () => {
    const fails: object[] = [
      { key: () => Promise.reject(new Error('no key')) },
      {
        skip: () => {
          throw new Error('no skip')
        },
      },
    ]
    for (const each of fails) {
      const site = { routes: OK, mounts: mounts({ limit: 1, window: '1h', ...each }), ownErrorHandler: true }
      await serving(framework, site, async (app) => {
        await app.ask('/')
        expect(app.errors).toMatchObject([{ message: expect.stringMatching(/no (key|skip)/) }])
      })
    }
  })

  it('moves over from express-rate-limit: windowMs, max, message, headers, skip, handler', async () => {
    const options = {
      windowMs: 60_000,
      max: 1,
      standardHeaders: true,
      legacyHeaders: true,
      message: 'Slow down',
    }
    await withApp(framework, options, async (app) => {
      const first = await app.ask('/')
      expect(first.headers).toMatchObject({
        'ratelimit-limit': '1',
        'ratelimit-remaining': '0',
        'ratelimit-reset': '60',
        'x-ratelimit-limit': '1',
        'x-ratelimit-remaining': '0',
      })
      expect(Number(first.headers['x-ratelimit-reset'])).toBeGreaterThan(1.7e9)
      expect(first.headers.ratelimit).toBeUndefined()
      const second = await app.ask('/')
      expect([second.status, second.text, second.headers['retry-after']]).toEqual([429, 'Slow down', '60'])
    })
    const json = {
      windowMs: 60_000,
      limit: () => 0,
      message: async () => ({ error: 'slow' }),
      statusCode: 420,
    }
    await withApp(framework, json, async (app) => {
      const { status, text, headers } = await app.ask('/')
      expect([status, JSON.parse(text)]).toEqual([420, { error: 'slow' }])
      expect(headers['content-type']).toMatch(/^application\/json/)
    })
  })

  it('max as a function: each user has a limit of its own', () =>
    withApp(
      framework,
      {
        windowMs: 60_000,
        keyGenerator: ({ headers }: Request) => headers['x-user'],
        max: ({ headers }: Request) => (headers['x-user'] === 'gold' ? 3 : 1),
      },
      async (app) => {
        expect(await statuses(app, 4, '/', { headers: { 'x-user': 'gold' } })).toEqual([200, 200, 200, 429])
        expect(await statuses(app, 2, '/', { headers: { 'x-user': 'tin' } })).toEqual([200, 429])
      },
    ))

  it('a problem document on request', () =>
    withApp(framework, { name: 'api', limit: 0, window: '1h', problem: true }, async (app) => {
      const { status, headers, text } = await app.ask('/')
      expect(status).toBe(429)
      expect(headers['content-type']).toMatch(/^application\/problem\+json/)
      expect(JSON.parse(text)).toMatchObject({ status: 429, 'violated-policies': ['api'] })
    }))

  it('L12: a store that failed is a 503 with Retry-After and no word about limits, or lets through', async () => {
    const gone = () => Promise.reject(new Error('connect ECONNREFUSED'))
    const client = { callBuffer: gone, on() {}, off() {} }
    const limit = { limit: 5, window: '1h', store: redisStore(client) }
    await withApp(framework, { ...limit, onStoreFailure: 'deny' }, async (app) => {
      const { status, headers } = await app.ask('/')
      expect([status, headers['retry-after']]).toEqual([503, '1'])
      expect(Object.keys(headers).filter((name) => name.includes('ratelimit'))).toEqual([])
    })
    await withApp(framework, { ...limit, onStoreFailure: 'allow' }, async (app) => {
      expect(await statuses(app, 8)).toEqual([200, 200, 200, 200, 200, 200, 200, 200])
    })
  })

  it('is answered by a handler of the app', async () => {
    const all: Mounts = {
      express: (app) =>
        app.use(
          expressRateLimit({ limit: 0, window: '1h', handler: (_, res: Response) => res.send('express') }),
        ),
      fastify: (app) =>
        app.register(fastifyRateLimit, {
          limit: 0,
          window: '1h',
          handler: (_: FastifyRequest, reply: FastifyReply) => reply.send('fastify'),
        }),
      koa: (app) =>
        app.use(
          koaRateLimit({
            limit: 0,
            window: '1h',
            handler: (ctx) => {
              ctx.body = 'koa'
            },
          }),
        ),
    }
    await serving(framework, { routes: OK, mounts: all }, async (app) => {
      const { status, text, headers } = await app.ask('/')
      expect([status, framework.startsWith(text)]).toEqual([429, true])
      expect(headers.ratelimit).toBeDefined()
    })
  })

  it('shows nothing with headers: false, and X-RateLimit-* with legacy', async () => {
    const limit = { limit: 5, window: '1h' }
    await withApp(framework, { ...limit, headers: false }, async (app) => {
      const names = Object.keys((await app.ask('/')).headers)
      expect(names.filter((name) => name.includes('ratelimit'))).toEqual([])
    })
    await withApp(framework, { ...limit, headers: ['draft-8', 'legacy'] }, async (app) => {
      const { headers } = await app.ask('/')
      expect(headers['x-ratelimit-remaining']).toBe('4')
      expect(headers.ratelimit).toBe('"5-in-1h";r=4;t=720')
    })
  })

  it('shadow mode lets through, and clients see nothing of it', async () => {
    const trial = { name: 'trial', limit: 1, window: '1h', shadow: true } as const
    const shown = ({ headers }: Answer) =>
      ['ratelimit', 'ratelimit-policy', 'retry-after'].map((name) => headers[name])
    await withApp(framework, trial, async (app) => {
      expect(await statuses(app, 3)).toEqual([200, 200, 200])
      expect(shown(await app.ask('/'))).toEqual([undefined, undefined, undefined])
    })
    const store = memoryStore()
    const limit = { name: 'api', limit: 3, window: '1h' } as const
    const limiter = limiters.all([trial, limit].map((each) => new RateLimiter({ ...each, store })))
    await withApp(framework, { limiter, problem: true }, async (app) => {
      expect(await statuses(app, 2)).toEqual([200, 200])
      expect(shown(await app.ask('/'))).toEqual(['"api";r=0;t=1200', '"api";q=3;w=3600', undefined])
      const refused = await app.ask('/')
      expect(refused.status).toBe(429)
      expect(JSON.parse(refused.text)['violated-policies']).toEqual(['api'])
    })
  })

  it('refuses options it does not know when the app is built', () => {
    const build = () =>
      framework === 'fastify5'
        ? Fastify()
            .register(fastifyRateLimit, { limits: 1 } as never)
            .ready()
        : (framework.startsWith('express') ? expressRateLimit : koaRateLimit)({ limits: 1 } as never)
    return expect((async () => build())()).rejects.toThrow(/did you mean "limit"/)
  })
})

describe('rateLimit on Fastify only', () => {
  it('L34: limits earlier routes, later routes and unknown paths', async () => {
    for (const path of ['/early', '/late', '/nowhere']) {
      const app = Fastify()
      onTestFinished(() => app.close())
      app.get('/early', async () => 'ok')
      app.register(fastifyRateLimit, { limit: 1, window: '1h' })
      app.get('/late', async () => 'ok')
      const found = path === '/nowhere' ? 404 : 200
      expect((await app.inject(path)).statusCode).toBe(found)
      expect((await app.inject(path)).statusCode, path).toBe(429)
    }
  })

  it('a route has a limit of its own, or none, and inherits the rest', async () => {
    const app = Fastify()
    onTestFinished(() => app.close())
    await app.register(fastifyRateLimit, { limit: 2, window: '1h', key: () => 'all', headers: 'legacy' })
    app.get('/own', { config: { rateLimit: { limit: 1, window: '1m' } } }, async () => 'ok')
    app.get('/none', { config: { rateLimit: false } }, async () => 'ok')
    app.get('/', async () => 'ok')
    expect(() =>
      app.get('/bad', { config: { rateLimit: { limit: -1, window: '1m' } } }, async () => 'ok'),
    ).toThrow(expect.objectContaining({ code: 'ERR_LIMITER_OPTION' }))
    const own = await app.inject('/own')
    expect(own.headers).toMatchObject({ 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0' })
    expect((await app.inject('/own')).statusCode).toBe(429)
    for (let i = 0; i < 3; i++) expect((await app.inject('/none')).statusCode).toBe(200)
    expect((await app.inject('/')).headers['x-ratelimit-remaining']).toBe('1')
  })
})

describe('rateLimit on Koa only', () => {
  it('L51 refuses a status that Koa would turn into 500, unless it answers by itself', async () => {
    const limit = { limit: 0, window: '1h' } as const
    expect(() => koaRateLimit({ ...limit, statusCode: 420 })).toThrow(
      expect.objectContaining({
        code: 'ERR_LIMITER_OPTION',
        message: expect.stringContaining('"statusCode"'),
      }),
    )
    for (const options of [{ statusCode: 503 }, { statusCode: 420, problem: true }]) {
      await withApp('koa3', { ...limit, ...options }, async (app) => {
        const { status, headers } = await app.ask('/')
        expect(status).toBe(options.statusCode)
        expect(headers).toHaveProperty('ratelimit-policy')
      })
    }
  })
})

describe('rateLimit on Express only', () => {
  it('limits a single route, and gives the decision to settle the real cost', async () => {
    const app = express()
    const limiter = new RateLimiter({ capacity: 100, refill: { tokens: 0, per: '1s' } })
    app.post('/tokens', expressRateLimit({ limiter, key: () => 'a', cost: 50 }), async (req, res) => {
      await limiter.settle(decisionOfExpress(req)!, 7)
      res.send('ok')
    })
    const server = app.listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    expect((await fetch(`http://127.0.0.1:${port}/tokens`, { method: 'POST' })).status).toBe(200)
    expect(limiter.peek('a').remaining).toBe(93)
  })
})
