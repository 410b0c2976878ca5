import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import express, { type Express, type Request, type Response } from 'express'
import express4 from 'express4'
import { Redis } from 'ioredis'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type ExpressRateLimitOptions, rateLimit } from '../../src/express.js'
import { type OptionsUsed, type RateLimitInfo, redisStore } from '../../src/index.js'

/*
 * Middleware that was written for express-rate-limit 8, by its documentation: the import is changed, nothing else.
 */

type Answer = { status: number; text: string; headers: Headers }
type Setup = (app: Express) => void

const frameworks: [string, () => Express][] = [
  ['Express 5', () => express()],
  ['Express 4', () => express4()],
]

describe.each(frameworks)('an app that used express-rate-limit, on %s', (_, create) => {
  async function serving(options: ExpressRateLimitOptions, setup: Setup = () => {}) {
    const app = create()
    let ended: Promise<unknown> = Promise.resolve()
    app.use((_req, res, next) => {
      ended = once(res, 'close').then(() => setImmediate())
      next()
    })
    app.use(rateLimit(options))
    app.get('/', (_req, res) => void res.send('ok'))
    app.get('/fail', (_req, res) => void res.status(404).send('none'))
    setup(app)
    const server = app.listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return async (path = '/', init: RequestInit = {}): Promise<Answer> => {
      const response = await fetch(origin + path, init)
      const text = await response.text()
      await ended // what happens at the end of a response has happened
      return { status: response.status, text, headers: response.headers }
    }
  }

  it('handler gets request, response, next and the options in effect', async () => {
    const seen: OptionsUsed[] = []
    const handler = (req: Request, res: Response, next: unknown, options: OptionsUsed) => {
      seen.push(options)
      expect(next).toBeTypeOf('function')
      res.status(options.statusCode).json({ path: req.path, said: options.message })
    }
    const ask = await serving({ windowMs: 60_000, limit: 1, statusCode: 420, handler })
    await ask()
    const { status, text } = await ask()
    expect(status).toBe(420)
    expect(JSON.parse(text)).toEqual({ path: '/', said: 'Too many requests, please try again later.' })
    expect(seen).toMatchObject([
      { windowMs: 60_000, limit: 1, statusCode: 420, requestPropertyName: 'rateLimit' },
    ])
  })

  it('handler may hand on by next, with an error or without', async () => {
    const asked: string[] = []
    const ask = await serving({
      windowMs: 60_000,
      limit: 0,
      handler: (_req, _res, next, { message }) => {
        asked.push(String(message))
        next()
      },
      message: 'slow',
    })
    expect((await ask()).text).toBe('ok')
    expect(asked).toEqual(['slow'])
  })

  it('message: a text, an object, a function of request and response, one that answers itself', async () => {
    const limit = { windowMs: 60_000, limit: 0 }
    const answers: Answer[] = []
    const messages: unknown[] = [
      'Slow down',
      { error: 'slow' },
      async (req: Request, res: Response) => `${req.method} ${res.statusCode}`,
      (_req: Request, res: Response) => void res.type('text').send('by hand'),
    ]
    for (const message of messages) answers.push(await (await serving({ ...limit, message }))())
    expect(answers.map(({ status, text }) => [status, text])).toEqual([
      [429, 'Slow down'],
      [429, '{"error":"slow"}'],
      [429, 'GET 429'],
      [429, 'by hand'],
    ])
  })

  it('standardHeaders and legacyHeaders', async () => {
    const shown = async (options: ExpressRateLimitOptions) => {
      const { headers } = await (await serving({ windowMs: 60_000, limit: 5, ...options }))()
      return Object.fromEntries([...headers].filter(([name]) => name.includes('ratelimit')))
    }
    const draft6 = {
      'ratelimit-policy': '5;w=60',
      'ratelimit-limit': '5',
      'ratelimit-remaining': '4',
      'ratelimit-reset': '12',
    }
    expect(await shown({ standardHeaders: true })).toEqual(draft6)
    expect(await shown({ standardHeaders: 'draft-6', legacyHeaders: false })).toEqual(draft6)
    expect(await shown({ standardHeaders: 'draft-7' })).toEqual({
      'ratelimit-policy': '5;w=60',
      ratelimit: 'limit=5, remaining=4, reset=12',
    })
    expect(await shown({ standardHeaders: 'draft-8', identifier: 'api' })).toEqual({
      'ratelimit-policy': '"api";q=5;w=60',
      ratelimit: '"api";r=4;t=12',
    })
    expect(await shown({ standardHeaders: false, legacyHeaders: true })).toEqual({
      'x-ratelimit-limit': '5',
      'x-ratelimit-remaining': '4',
      'x-ratelimit-reset': expect.stringMatching(/^\d{10}$/),
    })
    expect(await shown({ standardHeaders: false, legacyHeaders: false })).toEqual({})
  })

  it('the request tells how it stands, by requestPropertyName', async () => {
    const infos: (RateLimitInfo | undefined)[] = []
    const note = (name: string) => (app: Express) =>
      app.get('/info', (req, res) => {
        infos.push(Reflect.get(req, name))
        res.send('ok')
      })
    const options = { windowMs: 60_000, limit: 5, keyGenerator: () => 'me' }
    await (await serving(options, note('rateLimit')))('/info')
    await (await serving({ ...options, requestPropertyName: 'quota' }, note('quota')))('/info')
    await (await serving({ window: '1m', limit: 5 }, note('rateLimit')))('/info')
    const info = { limit: 5, used: 1, remaining: 4, key: 'me', resetTime: expect.any(Date) }
    expect(infos).toEqual([info, info, undefined])
  })

  it('skipFailedRequests and skipSuccessfulRequests, by requestWasSuccessful', async () => {
    const limit = { windowMs: 86_400_000, limit: 2 }
    const statuses = async (options: ExpressRateLimitOptions, paths: string[]) => {
      const ask = await serving({ ...limit, ...options })
      const seen: number[] = []
      for (const path of paths) seen.push((await ask(path)).status)
      return seen
    }
    expect(await statuses({ skipFailedRequests: true }, ['/fail', '/fail', '/fail', '/', '/', '/'])).toEqual([
      404, 404, 404, 200, 200, 429,
    ])
    expect(await statuses({ skipSuccessfulRequests: true }, ['/', '/', '/', '/fail', '/fail', '/'])).toEqual([
      200, 200, 200, 404, 404, 429,
    ])
    const requestWasSuccessful = async (_req: Request, res: Response) => res.statusCode === 404
    expect(
      await statuses({ skipSuccessfulRequests: true, requestWasSuccessful }, [
        '/fail',
        '/fail',
        '/',
        '/',
        '/',
      ]),
    ).toEqual([404, 404, 200, 200, 429])
  })

  it('passOnStoreError', async () => {
    const gone = { callBuffer: () => Promise.reject(new Error('connect ECONNREFUSED')), on() {}, off() {} }
    const limit = { windowMs: 60_000, limit: 5, store: redisStore(gone) }
    expect((await (await serving({ ...limit, passOnStoreError: true }))()).status).toBe(200)
    expect((await (await serving({ ...limit, passOnStoreError: false }))()).status).toBe(503)
  })

  it('validate: false, or xForwardedForHeader: false, warns of no header', async () => {
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const headers = { 'x-forwarded-for': '6.6.6.6' }
    for (const validate of [false, { xForwardedForHeader: false }, { default: false }, { ip: false }, true]) {
      await (await serving({ windowMs: 60_000, limit: 5, validate }))('/', { headers })
    }
    expect(warning).toHaveBeenCalledTimes(2)
  })
})

describe('options of other limiters', () => {
  const limit = { windowMs: 60_000, limit: 5 }

  it('are refused when the app is built, and the message says what to use instead', () => {
    const store = { increment() {}, decrement() {}, resetKey() {} }
    const refused: [object, RegExp][] = [
      [{ store }, /"store" takes memoryStore\(\), clusterStore\(\) or redisStore\(client\)/],
      [{ identifier: () => 'a' }, /use "name"/],
      [{ onLimitReached() {} }, /use "handler"/],
      [{ draft_polli_ratelimit_headers: true }, /use headers: "triple"/],
      [{ headers: true }, /"headers" must be/],
      [{ statusCode: 200 }, /from 400 to 599/],
      [{ standardHeaders: 'draft-9' }, /"standardHeaders" must be/],
      [{ validate: { spelling: false } }, /"validate" has no option "spelling"/],
      [{ timeWindow: '1m' }, /use "window"/],
      [{ redis: new Redis({ lazyConnect: true }) }, /redisStore\(client\)/],
      [{ points: 5 }, /use "limit"/],
    ]
    for (const [options, message] of refused) {
      const build = () => rateLimit({ ...limit, ...options } as never)
      expect(build, String(message)).toThrow(message)
      expect(build).toThrow(expect.objectContaining({ code: 'ERR_LIMITER_OPTION' }))
    }
  })

  it('ipv6Subnet is a number or false', () => {
    expect(() => rateLimit({ ...limit, ipv6Subnet: 56 })).not.toThrow()
    expect(() => rateLimit({ ...limit, ipv6Subnet: false })).not.toThrow()
    expect(() => rateLimit({ ...limit, ipv6Subnet: 20 })).toThrow(/"ipv6Subnet" must be/)
  })
})
