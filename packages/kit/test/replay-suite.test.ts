import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tapBody } from '../src/express.js'
import { plugin } from '../src/fastify.js'
import {
  FRAMEWORKS,
  type Framework,
  failures,
  patience,
  type ReplayMode,
  type ReplaySubject,
  replayChecks,
  replaySuite,
} from '../testing/index.js'

interface Entry {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

const MAX_BYTES = 1_000

declare module 'fastify' {
  interface FastifyContextConfig {
    referenceCache?: false
  }
}

/** What a wrong cache does differently. */
interface Mistakes {
  readonly maxBytes?: number
  /** Stores whatever it sees. */
  readonly storesAll?: boolean
  /** Stores the text of a body. */
  readonly asText?: boolean
  /** Forgets the handler's headers. */
  readonly losesHeaders?: boolean
  /** Fails with its store. */
  readonly breaks?: boolean
  /** Keeps nothing. */
  readonly forgets?: boolean
}

/** A response cache as small as it gets, right unless told otherwise. It knows one store, and no Vary. */
function cacheOf(mode: ReplayMode, mistakes: Mistakes) {
  const entries = new Map<string, Entry>()
  return {
    get(method: string, url: string): Entry | undefined {
      if (method !== 'GET' && method !== 'HEAD' && !mistakes.storesAll) return undefined
      if (mode === 'fail' && mistakes.breaks) throw new Error('the store is down')
      return entries.get(url)
    },
    set(
      method: string,
      url: string,
      status: number,
      headers: Readonly<Record<string, unknown>>,
      body: Buffer | undefined,
    ): void {
      if (mode === 'fail' || mistakes.forgets || body === undefined) return
      const { date, connection, 'transfer-encoding': _, ...kept } = headers as Record<string, string>
      const control = kept['cache-control'] ?? ''
      const storable =
        method === 'GET' &&
        status === 200 &&
        body.length <= (mistakes.maxBytes ?? MAX_BYTES) &&
        /max-age/.test(control) &&
        !/no-store|private/.test(control) &&
        kept['set-cookie'] === undefined
      if (!storable && !mistakes.storesAll) return
      entries.set(url, {
        headers: mistakes.losesHeaders ? {} : kept,
        body: mistakes.asText ? Buffer.from(body.toString()) : body,
      })
    },
  }
}

function reference(mode: ReplayMode, mistakes: Mistakes = {}): ReplaySubject {
  const cache = cacheOf(mode, mistakes)
  return {
    express: (app) =>
      app.use((req, res, next) => {
        const hit = cache.get(req.method, req.url)
        if (hit !== undefined) {
          res.set(hit.headers).send(hit.body) // Express answers 304 by itself
          return
        }
        tapBody(res, mistakes.maxBytes ?? MAX_BYTES, ({ body }) =>
          cache.set(req.method, req.url, res.statusCode, res.getHeaders(), body),
        )
        next()
      }),
    fastify: (app) =>
      app.register(
        plugin('reference', async (scope: typeof app) => {
          scope.addHook('preHandler', async (request, reply) => {
            if (request.routeOptions.config.referenceCache === false) return
            const hit = cache.get(request.method, request.url)
            if (hit === undefined) return
            reply.headers(hit.headers).header('x-cache', 'hit')
            if (hit.headers.etag !== undefined && request.headers['if-none-match'] === hit.headers.etag)
              return reply.code(304).send()
            return reply.send(hit.body)
          })
          scope.addHook('onSend', async (request, reply, payload) => {
            if (request.routeOptions.config.referenceCache === false) return
            if (reply.hasHeader('x-cache')) return
            if (typeof payload === 'string' || Buffer.isBuffer(payload))
              cache.set(
                request.method,
                request.url,
                reply.statusCode,
                reply.getHeaders(),
                Buffer.from(payload),
              )
          })
        }),
      ),
    koa: (app) =>
      app.use(async (ctx, next) => {
        const hit = cache.get(ctx.method, ctx.url)
        if (hit !== undefined) {
          ctx.status = 200
          ctx.set(hit.headers)
          ctx.body = hit.body
          if (ctx.fresh) ctx.status = 304
          return
        }
        await next()
        const { body } = ctx
        if (typeof body === 'string' || Buffer.isBuffer(body))
          cache.set(ctx.method, ctx.url, ctx.status, ctx.response.headers, Buffer.from(body))
      }),
  }
}

const spec = { maxBytes: MAX_BYTES, optOut: { referenceCache: false } }

replaySuite('a right cache', { ...spec, setup: (mode) => reference(mode) })

describe('the replay suite fails for a cache that', () => {
  beforeAll(() => {
    patience.milliseconds = 500
  })
  afterAll(() => {
    patience.milliseconds = 10_000
  })

  const failed = (framework: Framework, mistakes: Mistakes, ...titles: RegExp[]) =>
    failures(
      replayChecks({ ...spec, setup: (mode) => reference(mode, mistakes) }).filter(({ title }) =>
        titles.some((pattern) => pattern.test(title)),
      ),
      framework,
    )

  describe.each(FRAMEWORKS)('on %s', (framework) => {
    it('stores nothing', async () => {
      expect(
        await failed(framework, { forgets: true }, /^replays/, /just the cap/, /from the stored GET/),
      ).toHaveLength(4)
    })

    it('stores everything: cookies, errors, no-store, POST, HEAD', async () => {
      expect(
        await failed(framework, { storesAll: true }, /Set-Cookie/, /no-store/, /POST/, /HEAD/, /a 304/),
      ).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/Set-Cookie/),
          expect.stringMatching(/no-store/),
          expect.stringMatching(/POST/),
        ]),
      )
    })

    it('stores text in place of bytes', async () => {
      expect(await failed(framework, { asText: true }, /bytes as bytes/, /^replays text/)).toEqual([
        'replays bytes as bytes',
      ])
    })

    it('forgets the headers', async () => {
      expect(await failed(framework, { losesHeaders: true }, /^replays/, /304/)).toContain(
        'replays text: status, headers and body as the handler gave them',
      )
    })

    it('has no cap, or a lower one', async () => {
      expect(await failed(framework, { maxBytes: 1e6 }, /a body over the cap/)).toHaveLength(1)
      expect(await failed(framework, { maxBytes: MAX_BYTES - 1 }, /just the cap/)).toHaveLength(1)
    })

    it('fails with its store', async () => {
      expect(await failed(framework, { breaks: true }, /while the store fails/)).toHaveLength(1)
    })

    it('leaves a timer running', async () => {
      const timers: NodeJS.Timeout[] = []
      const setup = (mode: ReplayMode) => {
        timers.push(setInterval(() => {}, 60_000))
        return reference(mode)
      }
      const titles = await failures(
        replayChecks({ ...spec, setup }).filter(({ title }) => /alive/.test(title)),
        framework,
      )
      for (const timer of timers) clearInterval(timer)
      expect(titles).toHaveLength(1)
    })
  })

  it.each(['express4', 'express5'] as const)('stores the part that a client saw (%s)', async (framework) => {
    const entries = new Map<string, string>()
    const setup = (): ReplaySubject => ({
      ...reference('work'),
      express: (app) =>
        app.use((req, res, next) => {
          const hit = entries.get(req.url)
          if (hit !== undefined) {
            res.send(hit)
            return
          }
          let text = ''
          const { write } = res
          res.write = ((chunk: Buffer, ...rest: [never]) => {
            text += String(chunk)
            return write.call(res, chunk, ...rest)
          }) as typeof res.write
          res.once('close', () => entries.set(req.url, text))
          next()
        }),
    })
    const checks = replayChecks({ ...spec, setup }).filter(({ title }) => /the part of a body/.test(title))
    expect(await failures(checks, framework)).toHaveLength(1)
  })

  it.each(['koa2', 'koa3'] as const)('holds a stream back (%s)', async (framework) => {
    const setup = (): ReplaySubject => ({
      ...reference('work'),
      koa: (app) =>
        app.use(async (ctx, next) => {
          await next()
          const chunks: Buffer[] = []
          for await (const chunk of ctx.body as AsyncIterable<Buffer>) chunks.push(chunk)
          ctx.body = Buffer.concat(chunks)
        }),
    })
    const checks = replayChecks({ ...spec, setup }).filter(({ title }) =>
      /leaves a stream a stream/.test(title),
    )
    expect(await failures(checks, framework)).toHaveLength(1)
  })
})
