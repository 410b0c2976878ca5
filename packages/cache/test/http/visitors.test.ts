import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer, request as tlsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { FRAMEWORKS, latch, until } from '@spillway/kit/testing'
import expressFive, { type Express } from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { cacheResponse as onExpress } from '../../src/express.js'
import { cacheResponse as onFastify } from '../../src/fastify.js'
import { Cache } from '../../src/index.js'
import { cacheResponse as onKoa } from '../../src/koa.js'
import { certificate } from './certificate.js'
import { type Behind, behind, type HttpOptions, type Stand, statusOf } from './stand.js'

/** Who a response is for, and what one client can do to another's. */

const FRESH = { 'cache-control': 'max-age=60' }
const PUBLIC = { 'cache-control': 'public, max-age=60' }
const STALE_SOON = { 'cache-control': 'max-age=10, stale-while-revalidate=600' }

describe.each(FRAMEWORKS)('%s', (framework) => {
  const app = (stand: Stand, work: (app: Behind) => Promise<void>) => behind(framework, stand, work)
  const numbered = (headers: Readonly<Record<string, string>>, options: HttpOptions = {}) => ({
    reply: (run: number) => ({ headers, body: `run ${run}` }),
    options,
  })

  describe('with time', () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
    afterEach(() => void vi.useRealTimers())
    const pass = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1_000)

    it.each(['cookie', 'authorization', 'x-api-key'])(
      'H24 a client with %s that may not have a stale entry runs its own handler, and leaves the entry',
      (name) =>
        app(
          numbered(STALE_SOON, { credentialHeaders: ['authorization', 'cookie', 'X-API-Key'] }),
          async (running) => {
            const { get, ask, idle, runs } = running
            await get()
            pass(12)
            expect((await get({ [name]: 'a=1' })).text).toBe('run 2')
            await idle()
            expect(runs()).toBe(2)
            const stale = await ask('/')
            expect([stale.text, statusOf(stale)]).toEqual(['run 1', 'spillway; hit; ttl=-2'])
            await until(async () => (await ask('/')).text === 'run 3', 'it is fetched anew for strangers')
            expect(runs()).toBe(3)
          },
        ),
    )

    it('H24 a stale entry for everybody is fetched anew without what says who the client is', () => {
      const seen: object[] = []
      const names = ['cookie', 'authorization', 'x-api-key', 'proxy-authorization']
      return app(
        {
          reply: (run, { headers }) => {
            seen.push(Object.fromEntries(names.map((name) => [name, headers[name]])))
            return {
              headers: { 'cache-control': 'public, max-age=10, stale-while-revalidate=600' },
              body: `run ${run}`,
            }
          },
          options: { credentialHeaders: ['x-api-key'] },
        },
        async ({ get, ask, runs }) => {
          await get()
          pass(12)
          const client = Object.fromEntries(names.map((name) => [name, 'mine']))
          expect((await ask('/', { headers: client })).text).toBe('run 1')
          await until(() => runs() === 2, 'it is fetched anew')
          expect(seen[1]).toEqual(Object.fromEntries(names.map((name) => [name, undefined])))
          await until(async () => (await ask('/')).text === 'run 2', 'all get the new one')
        },
      )
    })

    it("H24 a client's own stale entry is not replaced by what a stranger gets", () =>
      app(
        {
          reply: (run, { headers }) => ({
            headers: STALE_SOON,
            body: `${headers.cookie ?? 'nobody'} ${run}`,
          }),
          options: { key: ({ headers }) => String(headers.cookie) },
        },
        async ({ get }) => {
          await get({ cookie: 'a' })
          pass(12)
          expect((await get({ cookie: 'a' })).text).toBe('a 2')
          expect((await get({ cookie: 'a' })).text).toBe('a 2')
        },
      ))

    it('H24 an entry that varies by Cookie is not replaced by what a stranger gets', () =>
      app(
        {
          reply: (run, { headers }) => ({
            headers: { 'cache-control': 'public, max-age=10, stale-while-revalidate=600', vary: 'cookie' },
            body: `${headers.cookie ?? 'nobody'} ${run}`,
          }),
        },
        async ({ get }) => {
          await get({ cookie: 'a' })
          pass(12)
          for (let i = 0; i < 3; i++) expect((await get({ cookie: 'a' })).text).toMatch(/^a /)
        },
      ))

    it('stale-if-error keeps what stood on the response before the handler ran', () =>
      app(
        {
          reply: (run) => ({
            status: run === 1 ? 200 : 503,
            headers: { 'cache-control': 'public, max-age=10, stale-if-error=60', 'x-run': String(run) },
          }),
          outside: {
            express: (app) => app.use((_req, res, next) => next(void res.set('x-frame-options', 'DENY'))),
            fastify: (app) =>
              app.addHook(
                'onRequest',
                async (_request, reply) => void reply.header('x-frame-options', 'DENY'),
              ),
            koa: (app) =>
              app.use((ctx, next) => {
                ctx.set('x-frame-options', 'DENY')
                return next()
              }),
          },
        },
        async ({ get }) => {
          await get()
          pass(12)
          const { status, headers } = await get()
          expect([status, headers['x-run'], headers['x-frame-options']]).toEqual([200, '1', 'DENY'])
        },
      ))
  })

  it('H24 a client whose response is private does not keep strangers from the cache', () =>
    app(
      {
        reply: (run, { headers }) => ({
          headers: headers.cookie === undefined ? FRESH : { 'cache-control': 'no-store' },
          body: `run ${run}`,
        }),
      },
      async ({ get }) => {
        await get({ cookie: 'a=1' })
        expect((await get()).text).toBe('run 2')
        expect((await get()).text).toBe('run 2')
      },
    ))

  it('H24 strangers who wait for a client whose response is private then share one run', () => {
    const begun = latch()
    const finish = latch()
    return app(
      {
        reply: async (run, { headers }) => {
          begun.open()
          if (run === 1) await finish.promise
          return { headers: FRESH, body: `${headers.cookie ?? 'nobody'} ${run}` }
        },
      },
      async ({ ask, cache, idle, runs }) => {
        const first = ask('/', { headers: { cookie: 'a=1' } })
        await begun.promise
        const others = Array.from({ length: 20 }, () => ask('/'))
        await until(() => cache.stats().joins === 20, 'twenty wait')
        finish.open()
        const answers = await Promise.all(others)
        await idle()
        expect((await first).text).toBe('a=1 1')
        expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['nobody 2']))
        expect(runs()).toBe(2)
      },
    )
  })

  it('H27 a header that the options name is a credential, the default names no other', async () => {
    const key = (value: string) => ({ 'x-api-key': value })
    await app(numbered(FRESH, { credentialHeaders: ['X-Api-Key'] }), async ({ get }) => {
      expect(statusOf(await get(key('a')))).toBe('spillway; fwd=uri-miss; detail=credentials')
      expect((await get(key('b'))).text).toBe('run 2')
      expect((await get()).text).toBe('run 3')
      expect((await get(key('b'))).text).toBe('run 4')
    })
    await app(numbered(FRESH), async ({ get }) => {
      await get(key('a'))
      expect((await get(key('b'))).text).toBe('run 1')
    })
  })

  it.each([
    ['cookie', 'must-revalidate, max-age=60', false],
    ['x-api-key', 'must-revalidate, max-age=60', false],
    ['authorization', 'must-revalidate, max-age=60', true],
    ['cookie', 'public, max-age=60', true],
    ['cookie', 's-maxage=60', true],
    ['x-api-key', 'public, max-age=60', true],
  ])('H27 a request with %s, a response with %s: shared %s (RFC 9111 section 3.5)', (name, control, shared) =>
    app(
      numbered({ 'cache-control': control }, { credentialHeaders: ['cookie', 'authorization', 'x-api-key'] }),
      async ({ get }) => {
        await get({ [name]: 'a' })
        expect((await get({ [name]: 'b' })).text).toBe(shared ? 'run 1' : 'run 2')
      },
    ),
  )

  it('H27 what was stored for strangers and for Authorization is not given to a client with a cookie', () =>
    app(numbered({ 'cache-control': 'must-revalidate, max-age=60' }), async ({ get }) => {
      await get()
      expect((await get({ authorization: 'a' })).text).toBe('run 1')
      expect((await get({ cookie: 'a' })).text).toBe('run 2')
      expect((await get({ cookie: 'a', authorization: 'a' })).text).toBe('run 3')
    }))

  it.each(['no-store', 'no-cache', 'max-age=0', 'no-store, no-cache'])(
    'S16 a server that does not obey its clients is shielded from their %s',
    (control) =>
      app(numbered(PUBLIC, { clientDirectives: false }), async ({ get, runs }) => {
        await get({ 'cache-control': control })
        for (let i = 0; i < 3; i++) await get({ 'cache-control': control, pragma: 'no-cache' })
        expect((await get()).text).toBe('run 1')
        expect(runs()).toBe(1)
      }),
  )

  it('H21 the same host by another scheme is another resource, when a trusted proxy says so or not', () =>
    app(numbered(PUBLIC), async ({ get }) => {
      expect((await get()).text).toBe('run 1')
      expect((await get({ 'x-forwarded-proto': 'https' })).text).toBe('run 2')
      expect((await get()).text).toBe('run 1')
    }))
})

/** An app that sends everybody from http to https, behind the cache, on both. */
const REDIRECTING: Readonly<Record<string, (cache: Cache) => Promise<(server: Server) => unknown>>> = {
  Express: async (cache) => {
    const app: Express = expressFive()
    app.use(onExpress(cache, { ttl: '1m' }))
    app.use((req, res) => {
      if (req.secure) res.send('safe')
      else res.redirect(301, `https://${req.headers.host}/`)
    })
    return (server) => server.on('request', app)
  },
  Koa: async (cache) => {
    const app = new Koa()
    app.use(onKoa(cache, { ttl: '1m' }))
    app.use((ctx) => {
      if (ctx.secure) ctx.body = 'safe'
      else {
        ctx.status = 301
        ctx.redirect(`https://${ctx.host}/`)
      }
    })
    return (server) => server.on('request', app.callback())
  },
  Fastify: async (cache) => {
    const app = Fastify()
    await app.register(onFastify, { cache, ttl: '1m' })
    app.get('/', (request, reply) =>
      request.protocol === 'https' ? reply.send('safe') : reply.redirect(`https://${request.host}/`, 301),
    )
    await app.ready()
    return (server) => server.on('request', (req, res) => app.routing(req, res))
  },
}

describe.each(Object.entries(REDIRECTING))('%s on http and https', (_name, make) => {
  it('H21 the redirect to https is not what the https client gets', async () => {
    await using cache = new Cache()
    const mount = await make(cache)
    const plain = createServer()
    const safe = createTlsServer(certificate())
    for (const server of [plain, safe as unknown as Server]) {
      mount(server)
      await once(server.listen(0, '127.0.0.1'), 'listening')
    }
    const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port
    try {
      const headers = { host: 'app.example' }
      const first = await fetchStatus(`http://127.0.0.1:${portOf(plain)}/`)
      expect(first).toBe(301)
      const request = tlsRequest(`https://127.0.0.1:${portOf(safe)}/`, {
        headers,
        rejectUnauthorized: false,
        agent: false,
      })
      request.end()
      const [response] = await once(request, 'response')
      response.resume()
      expect(response.statusCode).toBe(200)
    } finally {
      plain.close()
      safe.close()
    }
  })
})

async function fetchStatus(url: string): Promise<number> {
  const { request } = await import('node:http')
  const sent = request(url, { headers: { host: 'app.example' }, agent: false })
  sent.end()
  const [response] = await once(sent, 'response')
  response.resume()
  return response.statusCode
}
