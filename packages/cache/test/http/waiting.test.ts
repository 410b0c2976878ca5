import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { FRAMEWORKS, FRAMEWORKS_HTTP2, latch, type Mounts } from '@spillway/kit/testing'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { describe, expect, it } from 'vitest'
import { memoryStore } from '../../src/index.js'
import { behind, type HttpOptions, statusOf } from './stand.js'

/** Clients wait for a response that will be there soon, and for no other. */

const LONG: HttpOptions = { ttl: '30s', wait: '1h', bodyWait: '1h' }

/** A handler that takes over the response itself, as handlers of event streams do. */
function taking(work: (req: IncomingMessage, res: ServerResponse) => void): Mounts {
  return {
    express: (app) => app.get('/taken', (req, res) => work(req, res)),
    fastify: (app) => {
      app.get('/taken', (request: FastifyRequest, reply: FastifyReply) => {
        reply.hijack()
        work(request.raw, reply.raw)
      })
    },
    koa: (app) =>
      app.use((ctx, next) => {
        if (ctx.path !== '/taken') return next()
        ctx.respond = false
        work(ctx.req, ctx.res)
      }),
  }
}

/** Bodies that no one can say the end of. */
const ENDLESS: Readonly<Record<string, (res: ServerResponse) => void>> = {
  'an event stream': (res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.write('data: 1\n\n')
  },
  'an event stream by another spelling': (res) => {
    res.setHeader('Content-Type', ' Text/Event-Stream;charset=utf-8')
    res.flushHeaders()
    res.write('data: 1\n\n')
  },
  'an event stream whose head is all': (res) => {
    res.writeHead(200, ['content-type', 'text/event-stream', 'content-length', '100'])
    res.flushHeaders()
    res.write('data: 1\n\n')
  },
  'a picture that moves': (res) => {
    res.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=a' })
    res.write('--a')
  },
  'what proxies are asked not to hold back': (res) => {
    res.writeHead(200, { 'content-type': 'text/plain', 'x-accel-buffering': 'no' })
    res.write('1')
  },
  'pieces of text': (res) => {
    res.setHeader('content-type', 'text/plain')
    res.write('1')
  },
  'a stream that is piped': (res) => {
    const source = new PassThrough()
    source.pipe(res)
    source.write('1')
  },
  'a stream that is piped after its head': (res) => {
    const source = new PassThrough()
    source.pipe(res)
    res.writeHead(200, { 'content-type': 'text/plain' })
    source.write('1')
  },
}

describe.each([...FRAMEWORKS, ...FRAMEWORKS_HTTP2])('%s', (framework) => {
  it.each(Object.entries(ENDLESS))('H23 nobody waits for %s', async (_title, begin) => {
    const open: ServerResponse[] = []
    const inside = taking((_req, res) => {
      open.push(res)
      begin(res)
    })
    await behind(framework, { reply: () => ({}), options: LONG, inside }, async ({ open: ask, cache }) => {
      // Before the first head is there both wait for one; then each has a response of its own.
      const responses = await Promise.all([ask('/taken'), ask('/taken')])
      const third = await ask('/taken')
      for (const response of [...responses, third]) {
        const [chunk] = await once(response, 'data')
        expect(String(chunk)).toMatch(/1|--a/)
        response.destroy()
      }
      expect(open).toHaveLength(3)
      expect(cache.stats().loads).toBeLessThan(3)
      for (const res of open) res.destroy()
    })
  })
})

describe.each(FRAMEWORKS)('%s', (framework) => {
  it('H23 a stream that the framework sends is not waited for', () => {
    const sources: PassThrough[] = []
    return behind(
      framework,
      {
        reply: () => {
          const body = new PassThrough()
          body.write('1')
          sources.push(body)
          return { headers: { 'cache-control': 'public, max-age=60' }, body }
        },
        options: LONG,
      },
      async ({ open, idle }) => {
        for (let i = 0; i < 3; i++) {
          const response = await open('/')
          expect(String((await once(response, 'data'))[0])).toBe('1')
          expect(String(response.headers['cache-status'])).toContain(
            i === 0 ? 'detail=stream' : 'detail=hit-for-miss',
          )
          response.resume()
        }
        for (const source of sources) source.end()
        await idle()
      },
    )
  })

  it('H23 who waits for the rest of a response whose head is there is let go after bodyWait', () => {
    const body = latch<string>()
    return behind(
      framework,
      {
        reply: (run) => {
          if (run > 1) return { body: `run ${run}` }
          async function* slowly() {
            yield '12345'
            await body.promise
            yield '67890'
          }
          return { headers: { 'content-length': '10' }, body: Readable.from(slowly()) }
        },
        options: { ttl: '30s', wait: '1h', bodyWait: '20ms' },
      },
      async ({ ask, open, cache, idle }) => {
        const first = await open('/')
        first.resume()
        const others = [ask('/'), ask('/')]
        for (const answer of await Promise.all(others)) expect(answer.text).toMatch(/^run [23]$/)
        body.open('')
        await idle()
        expect(cache.stats().loads).toBe(1)
      },
    )
  })

  it('H23 over a store, another process is let go as well', () => {
    const body = latch<string>()
    const store = memoryStore()
    const stand = (reply: (run: number) => object) => ({
      reply,
      options: { ttl: '30s', wait: '1h', bodyWait: '1h' } as HttpOptions,
      cache: { store, l1: false } as const,
    })
    const stream = () => {
      const source = new PassThrough()
      source.write('1')
      void body.promise.then(() => source.end())
      return { body: source }
    }
    return behind(framework, stand(stream), (one) =>
      behind(
        framework,
        stand(() => ({ body: 'own' })),
        async (two) => {
          const first = await one.open('/')
          const headers = { host: new URL(one.origin).host }
          expect((await two.ask('/', { headers })).text).toBe('own')
          first.resume()
          body.open('')
          await one.idle()
        },
      ),
    )
  })

  it('H23 a file of known length that is piped is stored', () =>
    behind(
      framework,
      {
        reply: (run) => ({
          headers: { 'cache-control': 'public, max-age=60', 'content-length': '5' },
          body: Readable.from([Buffer.from(`run ${run}`)]),
        }),
      },
      async ({ get, runs }) => {
        await get()
        const again = await get()
        expect([again.text, runs()]).toEqual(['run 1', 1])
        expect(statusOf(again)).toMatch(/^spillway; hit/)
      },
    ))

  it.each([0, -1, '0ms', 'soon'])('H23 bodyWait: %s is refused', async (bodyWait) => {
    const { Cache } = await import('../../src/index.js')
    const { cacheResponse } = await import('../../src/express.js')
    await using cache = new Cache()
    expect(() => cacheResponse(cache, { bodyWait: bodyWait as number })).toThrow(/"bodyWait"/)
  })
})
