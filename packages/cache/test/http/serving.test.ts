import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { createGzip, gunzipSync } from 'node:zlib'
import { plugin } from '@spillway/kit/fastify'
import { FRAMEWORKS, latch, type Mounts, until } from '@spillway/kit/testing'
import type { FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { memoryStore } from '../../src/index.js'
import { type Behind, behind, type HttpOptions, type Stand, statusOf } from './stand.js'

/** What clients get from the store: whole bodies, in the coding they take, not older than the rules allow. */

const PUBLIC = { 'cache-control': 'public, max-age=60' }
const TEXT = 'The quick brown fox jumps over the lazy dog. '.repeat(100)

/** Says at the last moment that the coding was negotiated. */
function varying(res: ServerResponse): void {
  const { writeHead } = res
  res.writeHead = ((...args: unknown[]) => {
    res.setHeader('vary', 'accept-encoding')
    return Reflect.apply(writeHead, res, args)
  }) as typeof writeHead
}

/** A compression middleware as they all are: it takes the place of the response's own methods. */
function compress(req: IncomingMessage, res: ServerResponse): void {
  varying(res)
  if (!/\bgzip\b/.test(String(req.headers['accept-encoding']))) return
  const { writeHead, write, end } = res
  const gzip = createGzip()
  let encoding = true
  res.writeHead = ((status: number, given: Record<string, string> = {}) => {
    for (const name in given) res.setHeader(name, given[name]!)
    encoding = status === 200 && res.getHeader('content-encoding') === undefined
    if (encoding) {
      res.setHeader('content-encoding', 'gzip')
      res.removeHeader('content-length')
    }
    return Reflect.apply(writeHead, res, [status])
  }) as typeof writeHead
  const into = (chunk: unknown, done: boolean) => {
    if (!res.headersSent) res.writeHead(res.statusCode)
    if (!encoding) return Reflect.apply(done ? end : write, res, chunk === undefined ? [] : [chunk])
    if (done) gzip.end(chunk)
    else gzip.write(chunk)
    return true
  }
  res.write = ((chunk: unknown) => into(chunk, false)) as typeof write
  res.end = ((chunk?: unknown) => {
    into(chunk, true)
    return res
  }) as typeof end
  gzip.on('data', (chunk) => Reflect.apply(write, res, [chunk]))
  gzip.on('end', () => Reflect.apply(end, res, []))
}

const compression: Mounts = {
  express: (app) =>
    app.use((req, res, next) => {
      compress(req, res)
      next()
    }),
  fastify: (app) =>
    app.register(
      plugin('compression', async (scope: FastifyInstance) => {
        scope.addHook('preHandler', async (request, reply) => {
          compress(request.raw, reply.raw)
        })
      }),
    ),
  koa: (app) =>
    app.use(async (ctx, next) => {
      compress(ctx.req, ctx.res)
      await next()
    }),
}

describe.each(FRAMEWORKS)('%s', (framework) => {
  const app = (stand: Stand, work: (app: Behind) => Promise<void>) => behind(framework, stand, work)

  const numbered = (headers: Readonly<Record<string, string | string[]>>, options: HttpOptions = {}) => ({
    reply: (run: number) => ({ headers, body: `run ${run}` }),
    options,
  })

  it.each(['outside', 'inside'] as const)(
    'H6 each client gets the coding it takes, with compression mounted %s of the cache',
    (place) =>
      app(
        {
          reply: () => ({ headers: { ...PUBLIC, 'content-type': 'text/plain' }, body: TEXT }),
          [place]: compression,
        },
        async ({ get, runs }) => {
          const gzip = { 'accept-encoding': 'gzip' }
          const plain = { 'accept-encoding': 'identity' }
          const etags = new Map<string, unknown>()
          for (const asked of [gzip, plain, gzip, plain]) {
            const answer = await get(asked)
            const zipped = answer.headers['content-encoding'] === 'gzip'
            expect(zipped).toBe(asked === gzip)
            expect((zipped ? gunzipSync(answer.body) : answer.body).toString()).toBe(TEXT)
            etags.set(asked['accept-encoding'], answer.headers.etag)
          }
          expect(runs()).toBe(place === 'outside' ? 1 : 2)
          // Weak where one body was stored and coded later; otherwise each coding's own.
          const [one, two] = [...etags.values()]
          expect(
            place === 'outside' ? String(one).startsWith('W/') : one !== two || String(one).startsWith('W/'),
          ).toBe(true)
        },
      ),
  )

  it('H7 a body shorter than it said is not stored', () =>
    app(
      {
        reply: (run) => ({
          headers: { ...PUBLIC, 'content-length': '5000' },
          body: Readable.from([Buffer.alloc(run === 1 ? 1_000 : 5_000, 'x')]),
        }),
      },
      async ({ ask, get }) => {
        const first = await ask('/').then(
          ({ body }) => body.length,
          () => 'cut',
        )
        expect(first).toBe('cut')
        expect((await get()).body).toHaveLength(5_000)
        expect((await get()).body).toHaveLength(5_000)
      },
    ))

  it('H7 a client that leaves in mid body takes nothing from the next', () => {
    const more = latch()
    async function* slowly() {
      yield Buffer.alloc(1_000, 'x')
      await more.promise
      yield Buffer.alloc(4_000, 'x')
    }
    return app(
      { reply: () => ({ headers: { ...PUBLIC, 'content-length': '5000' }, body: Readable.from(slowly()) }) },
      async ({ open, get, idle }) => {
        const response = await open('/')
        response.on('error', () => {})
        response.destroy()
        await idle()
        more.open()
        expect((await get()).body).toHaveLength(5_000)
      },
    )
  })

  it('H7 a body over the cap is sent in full and not stored', () =>
    app(
      {
        reply: () => ({ headers: PUBLIC, body: Readable.from([Buffer.alloc(60), Buffer.alloc(60)]) }),
        options: { maxBodyBytes: 100 },
      },
      async ({ get, runs }) => {
        expect((await get()).body).toHaveLength(120)
        expect((await get()).body).toHaveLength(120)
        expect(runs()).toBe(2)
      },
    ))

  describe('with time', () => {
    beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
    afterEach(() => void vi.useRealTimers())
    const pass = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1_000)

    it('Age says how old the answer is, with what it was old already', () =>
      app(numbered({ ...PUBLIC, age: '10' }), async ({ get }) => {
        await get()
        pass(7)
        const answer = await get()
        expect(answer.headers.age).toBe('17')
        expect(statusOf(answer)).toBe('spillway; hit; ttl=43')
        pass(44)
        expect((await get()).text).toBe('run 2')
      }))

    it.each(['must-revalidate', 'proxy-revalidate', 's-maxage=1'])(
      'H9 %s forbids to serve what is stale, for whatever reason',
      (strict) => {
        const control = `public, max-age=1, stale-while-revalidate=60, stale-if-error=60, ${strict}`
        return app(
          {
            reply: (run) => ({
              status: run === 3 ? 500 : 200,
              headers: { 'cache-control': control },
              body: `run ${run}`,
            }),
            options: { swr: '60s', staleIfError: '60s' },
          },
          async ({ get }) => {
            await get()
            pass(2)
            expect((await get()).text).toBe('run 2')
            pass(2)
            expect((await get()).status).toBe(500)
          },
        )
      },
    )

    it('stale-while-revalidate serves the stale answer at once, and a new one after one run behind it', () => {
      const second = latch()
      return app(
        {
          reply: async (run) => {
            if (run === 2) await second.promise
            const headers = { 'cache-control': 'public, max-age=10, stale-while-revalidate=60' }
            return { headers, body: `run ${run}` }
          },
        },
        async ({ ask, get, idle, runs }) => {
          await get()
          pass(12)
          for (let i = 0; i < 3; i++) {
            const stale = await ask('/')
            expect([stale.text, statusOf(stale)]).toEqual(['run 1', 'spillway; hit; ttl=-2'])
          }
          second.open()
          await idle()
          await until(async () => (await ask('/')).text === 'run 2', 'the new answer is there')
          expect(runs()).toBe(2)
        },
      )
    })

    it('a run behind a stale answer that fails leaves it, one that may not be stored takes it away', () =>
      app(
        {
          reply: (run) => ({
            status: run === 2 ? 503 : 200,
            headers: {
              'cache-control': run < 3 ? 'public, max-age=10, stale-while-revalidate=600' : 'no-store',
            },
            body: `run ${run}`,
          }),
        },
        async ({ get, ask, idle, runs }) => {
          await get()
          pass(12)
          expect((await get()).text).toBe('run 1')
          await until(() => runs() === 2, 'the first run behind it')
          await idle()
          pass(60)
          expect((await get()).text).toBe('run 1')
          await until(() => runs() === 3, 'the second run behind it')
          await idle()
          expect((await ask('/')).text).toBe('run 4')
        },
      ))

    it.each(['answers 503', 'throws'])('stale-if-error serves the stale answer when the handler %s', (how) =>
      app(
        {
          reply: (run) => {
            if (run === 2 && how === 'throws') throw Object.assign(new Error('down'), { status: 500 })
            const headers = { 'cache-control': 'public, max-age=10, stale-if-error=60' }
            return { status: run === 2 ? 503 : 200, headers, body: `run ${run}` }
          },
        },
        async ({ get }) => {
          await get()
          pass(12)
          const stale = await get()
          expect([stale.status, stale.text, statusOf(stale)]).toEqual([200, 'run 1', 'spillway; hit; ttl=-2'])
          pass(40)
          expect((await get()).text).toBe('run 3')
        },
      ),
    )

    it('stale-if-error ends', () =>
      app(
        {
          reply: (run) => ({
            status: run === 1 ? 200 : 503,
            headers: { 'cache-control': 'public, max-age=10, stale-if-error=60' },
          }),
        },
        async ({ get }) => {
          await get()
          pass(71)
          expect((await get()).status).toBe(503)
        },
      ))
  })

  it.each([
    ['if-none-match', '"v1"', 304],
    ['if-none-match', 'W/"v1"', 304],
    ['if-none-match', '"v0", W/"v1"', 304],
    ['if-none-match', '*', 304],
    ['if-none-match', '"v0"', 200],
    ['if-modified-since', 'Wed, 25 Nov 2026 10:00:00 GMT', 304],
    ['if-modified-since', 'Tue, 24 Nov 2026 10:00:00 GMT', 200],
  ])('H11 %s: %s is answered %i from the store, by weak comparison', (name, value, status) =>
    app(
      {
        reply: () => ({
          headers: {
            ...PUBLIC,
            etag: 'W/"v1"',
            'last-modified': 'Wed, 25 Nov 2026 09:00:00 GMT',
            'content-type': 'text/plain',
            'x-own': 'kept',
          },
          body: 'text',
        }),
        // A store that answers later, as real ones do.
        cache: { l1: false, store: memoryStore() },
      },
      async ({ ask, get, runs }) => {
        const first = await get({ [name]: value })
        expect([first.status, first.text]).toEqual([status, status === 304 ? '' : 'text'])
        const again = await get({ [name]: value })
        expect([again.status, again.text]).toEqual([status, status === 304 ? '' : 'text'])
        expect(again.headers.etag).toBe('W/"v1"')
        expect(again.headers['x-own']).toBe('kept')
        expect((await ask('/', { method: 'HEAD', headers: { [name]: value } })).status).toBe(status)
        expect((await get()).text).toBe('text')
        expect(runs()).toBe(1)
      },
    ),
  )

  it('If-None-Match makes If-Modified-Since count for nothing', () =>
    app(
      {
        reply: () => ({
          headers: { ...PUBLIC, etag: '"v1"', 'last-modified': 'Wed, 25 Nov 2026 09:00:00 GMT' },
          body: 'text',
        }),
      },
      async ({ get }) => {
        await get()
        const both = { 'if-none-match': '"v0"', 'if-modified-since': 'Thu, 26 Nov 2026 09:00:00 GMT' }
        expect((await get(both)).status).toBe(200)
      },
    ))

  it('a response without a validator is given one', () =>
    app(numbered(PUBLIC), async ({ get }) => {
      await get()
      const { etag } = (await get()).headers
      expect(etag).toMatch(/^(W\/)?"/)
      expect((await get({ 'if-none-match': etag! })).status).toBe(304)
    }))

  describe('Cache-Status', () => {
    it('comes after those of caches nearer to the origin, and theirs are not replayed', () =>
      app(numbered({ ...PUBLIC, 'cache-status': 'origin; fwd=miss' }), async ({ get }) => {
        expect(statusOf(await get())).toBe('origin; fwd=miss, spillway; fwd=uri-miss')
        expect(statusOf(await get())).toMatch(/^spillway; hit; ttl=\d+$/)
      }))

    it('has the name that the options give, or is not there', async () => {
      await app(numbered(PUBLIC, { statusName: 'edge' }), async ({ get }) => {
        expect(statusOf(await get())).toBe('edge; fwd=uri-miss')
      })
      await app(numbered(PUBLIC, { statusName: false }), async ({ get }) => {
        expect((await get()).headers).not.toHaveProperty('cache-status')
        expect((await get()).headers).not.toHaveProperty('cache-status')
      })
    })

    it('says why the handler ran', () =>
      app(numbered(PUBLIC), async ({ get }) => {
        expect(statusOf(await get({ range: 'bytes=0-1' }))).toBe('spillway; fwd=bypass')
        expect(statusOf(await get())).toBe('spillway; fwd=uri-miss')
        const reloaded = await get({ 'cache-control': 'no-cache' })
        expect([reloaded.text, statusOf(reloaded)]).toEqual(['run 3', 'spillway; fwd=request'])
        expect((await get()).text).toBe('run 3')
        expect((await get({ 'cache-control': 'max-age=0' })).text).toBe('run 4')
        expect((await get({ pragma: 'no-cache' })).text).toBe('run 5')
      }))

    it('only-if-cached is answered from the store or by 504', () =>
      app(numbered(PUBLIC), async ({ get, runs }) => {
        expect((await get({ 'cache-control': 'only-if-cached' })).status).toBe(504)
        await get()
        expect((await get({ 'cache-control': 'only-if-cached' })).text).toBe('run 1')
        expect(runs()).toBe(1)
      }))

    it('a server that does not obey its clients does not run for them', () =>
      app(numbered(PUBLIC, { clientDirectives: false }), async ({ get }) => {
        await get()
        expect((await get({ 'cache-control': 'no-cache' })).text).toBe('run 1')
      }))
  })

  it('tags of a response invalidate it', () =>
    app(numbered(PUBLIC, { tags: () => ['products'] }), async ({ cache, get }) => {
      await get()
      expect((await get()).text).toBe('run 1')
      await cache.deleteByTag('products')
      expect((await get()).text).toBe('run 2')
    }))
})
