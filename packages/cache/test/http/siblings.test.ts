import { once } from 'node:events'
import { connect } from 'node:http2'
import { FRAMEWORKS, FRAMEWORKS_HTTP2, type Mounts } from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import { Cache } from '../../src/index.js'
import { type Behind, behind, mounts } from './stand.js'

/** What an app makes its answers of besides the target and the host: none of it is shared between clients. */

const PUBLIC = { 'cache-control': 'public, max-age=60' }
const numbered = (run: number) => ({ headers: PUBLIC, body: `run ${run}` })

/** Leads clients that ask for it to another page of the same address, before the cache. */
const REWRITING: Mounts = {
  express: (app) =>
    app.use((req: { headers: Record<string, unknown>; url: string }, _res: unknown, next: () => void) => {
      if (req.headers['x-page'] !== undefined) req.url = String(req.headers['x-page'])
      next()
    }),
  fastify: () => {},
  koa: (app) =>
    app.use((ctx, next) => {
      if (ctx.headers['x-page'] !== undefined) ctx.url = String(ctx.headers['x-page'])
      return next()
    }),
}

describe.each(FRAMEWORKS)('%s', (framework) => {
  it.each([
    'x-forwarded-port',
    'x-forwarded-prefix',
    'x-forwarded-scheme',
    'x-original-host',
    'x-original-url',
    'x-rewrite-url',
  ])('H8 what %s says is not chosen by one client for all', (name) =>
    behind(framework, { reply: numbered }, async ({ get }) => {
      expect((await get({ [name]: '/evil' })).text).toBe('run 1')
      expect((await get()).text).toBe('run 2')
      expect((await get({ [name]: '/evil' })).text).toBe('run 1')
    }),
  )

  it('H8 Forwarded keeps hosts and schemes apart, and not the addresses of clients', () =>
    behind(framework, { reply: numbered }, async ({ get }) => {
      expect((await get({ forwarded: 'for=192.0.2.1;Host=evil.example;proto=http' })).text).toBe('run 1')
      expect((await get({ forwarded: 'for=192.0.2.1' })).text).toBe('run 2')
      expect((await get({ forwarded: 'for=192.0.2.2;by=203.0.113.1' })).text).toBe('run 2')
      expect((await get({ forwarded: 'for=192.0.2.9; host=evil.example;proto=http' })).text).toBe('run 1')
    }))

  it.each(['x-http-method', 'x-method-override'])(
    'H4 %s is left alone as X-HTTP-Method-Override is',
    (name) =>
      behind(framework, { reply: numbered }, async ({ get }) => {
        expect((await get({ [name]: 'DELETE' })).text).toBe('run 1')
        expect((await get()).text).toBe('run 2')
      }),
  )

  it('H23 a second mount of the same cache does not wait for the first', async () => {
    await using cache = new Cache()
    const twice = mounts(cache, { wait: '1m' })
    const both: Mounts = {
      express: (app, server) => void [twice.express(app, server), twice.express(app, server)],
      fastify: (app) => void [twice.fastify(app), twice.fastify(app)],
      koa: (app, server) => void [twice.koa(app, server), twice.koa(app, server)],
    }
    await behind(framework, { reply: numbered, outside: both }, async ({ get }) => {
      expect((await get()).text).toBe('run 1')
      expect((await get()).text).toBe('run 1')
    })
  })
})

/** Fastify rewrites targets when it is made, by `rewriteUrl`; no hook can. */
const REWRITERS = FRAMEWORKS.filter((framework) => framework !== 'fastify5')

describe.each(REWRITERS)('%s', (framework) => {
  it('H20 a target that was rewritten before the cache is another resource', () =>
    behind(
      framework,
      {
        reply: (run, { headers }) => ({ headers: PUBLIC, body: `${headers['x-page']} ${run}` }),
        outside: REWRITING,
      },
      async ({ get }) => {
        expect((await get({ 'x-page': '/other' })).text).toBe('/other 1')
        expect((await get()).text).toBe('undefined 2')
        expect((await get({ 'x-page': '/other' })).text).toBe('/other 1')
      },
    ))
})

describe.each(FRAMEWORKS_HTTP2)('%s', (framework) => {
  const app = (work: (app: Behind) => Promise<void>) => behind(framework, { reply: numbered }, work)

  /** The text of an answer over HTTP/2. */
  async function asked(url: string, headers: Record<string, string>, body?: string): Promise<string> {
    const session = connect(url)
    try {
      const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined })
      if (body !== undefined) stream.end(body)
      await once(stream, 'response')
      let text = ''
      for await (const chunk of stream.setEncoding('utf8')) text += chunk
      return text
    } finally {
      session.close()
    }
  }

  it('H22 a GET with a body is left alone, though HTTP/2 need not say its length', () =>
    app(async ({ origin: url }) => {
      expect(await asked(url, {}, '{"evil":true}')).toBe('run 1')
      expect(await asked(url, {})).toBe('run 2')
      expect(await asked(url, {})).toBe('run 2')
    }))

  it('H22 a Host beside the authority is not chosen by one client for all', () =>
    app(async ({ origin: url }) => {
      const authority = 'app.example'
      expect(await asked(url, { ':authority': authority, host: 'evil.example' })).toBe('run 1')
      expect(await asked(url, { ':authority': authority })).toBe('run 2')
      expect(await asked(url, { ':authority': authority, host: authority })).toBe('run 2')
    }))
})
