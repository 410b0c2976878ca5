import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { applyVerdict } from '../src/express.js'
import { plugin, setHeaders } from '../src/fastify.js'
import { RejectedError, type Verdict } from '../src/index.js'
import { applyVerdict as applyToKoa } from '../src/koa.js'
import {
  FRAMEWORKS,
  failures,
  type GateMode,
  type GateSubject,
  gateChecks,
  gateSuite,
  patience,
} from '../testing/index.js'

const limits = { RateLimit: '"default";r=0;t=5', 'RateLimit-Policy': '"default";q=10;w=60' }

function verdictOf(mode: GateMode): Verdict {
  if (mode === 'fail')
    return { headers: {}, error: new RejectedError('down', { code: 'ERR_GATE_DOWN', status: 503 }) }
  if (mode === 'admit') return { headers: limits }
  const headers = { ...limits, 'Retry-After': '5' }
  return { headers, error: new RejectedError('no', { code: 'ERR_GATE_FULL', status: 429, headers }) }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    referenceGate?: false
  }
}

/** A gate as small as it gets, and right. */
function reference(mode: GateMode): GateSubject {
  return {
    express: (app) => app.use((_req, res, next) => applyVerdict(verdictOf(mode), res, next)),
    fastify: (app) =>
      app.register(
        plugin('reference', async (scope: typeof app) => {
          scope.addHook('onRequest', async (request, reply) => {
            if (request.routeOptions.config.referenceGate === false) return
            const { headers, error } = verdictOf(mode)
            setHeaders(reply, headers)
            if (error === undefined) return
            setHeaders(reply, error.headers)
            throw error
          })
        }),
      ),
    koa: (app) =>
      app.use((ctx, next) => {
        applyToKoa(verdictOf(mode), ctx)
        return next()
      }),
  }
}

const spec = {
  refusal: {
    status: 429,
    code: 'ERR_GATE_FULL',
    headers: ['retry-after', 'ratelimit', 'ratelimit-policy'],
  },
  admitted: { headers: ['ratelimit', 'ratelimit-policy'] },
  failure: { status: 503, code: 'ERR_GATE_DOWN' },
  optOut: { referenceGate: false },
  secrets: ['sk-live-SECRET'],
}

/** A gate that has put a secret on each of its errors. */
function telling(right: GateSubject, where: 'key' | 'message'): GateSubject {
  const tell = (error: unknown) => Object.assign(error as RejectedError, { [where]: 'sk-live-SECRET' })
  return {
    express: (app) => {
      app.use((_req, res, next) => {
        const { error, headers } = verdictOf('refuse')
        applyVerdict({ headers, error: tell(error) }, res, next)
      })
    },
    fastify: (app) => {
      app.register(
        plugin('wrong', async (scope: FastifyInstance) => {
          scope.addHook('onRequest', async (_request, reply) => {
            setHeaders(reply, verdictOf('refuse').headers)
            throw tell(verdictOf('refuse').error)
          })
        }),
      )
    },
    koa: (app, server) => {
      app.use(async (_ctx, next) => {
        try {
          await next()
        } catch (error) {
          throw tell(error)
        }
      })
      right.koa(app, server)
    },
  }
}

gateSuite('a right gate', { ...spec, setup: reference })

describe('the gate suite fails for a gate that', () => {
  const rows: [what: string, title: RegExp, wrong: (mode: GateMode, right: GateSubject) => GateSubject][] = [
    [
      'answers by itself instead of asking the error handler',
      /own error handler/,
      (mode, right) => ({
        ...right,
        express: (app) =>
          app.use((_req, res, next) => {
            const { headers, error } = verdictOf(mode)
            for (const name in headers) res.setHeader(name, headers[name]!)
            if (error === undefined) next()
            else res.status(error.status).send(error.message)
          }),
        fastify: (app) =>
          app.register(
            plugin('wrong', async (scope: FastifyInstance) => {
              scope.addHook('onRequest', async (_request, reply) => {
                const { headers, error } = verdictOf(mode)
                setHeaders(reply, headers)
                if (error !== undefined) return reply.code(error.status).send(error.message)
              })
            }),
          ),
        koa: (app) =>
          app.use((ctx, next) => {
            const { headers, error } = verdictOf(mode)
            ctx.set(headers)
            if (error === undefined) return next()
            ctx.status = error.status
            ctx.body = error.message
          }),
      }),
    ],
    [
      'loses the headers of a refusal',
      /refuses with its status and headers/,
      (mode, right) => ({
        ...right,
        express: (app) => app.use((_req, _res, next) => next(verdictOf(mode).error && bare(mode))),
        fastify: (app) =>
          app.register(
            plugin('wrong', async (scope: FastifyInstance) => {
              scope.addHook('onRequest', async () => {
                if (verdictOf(mode).error) throw bare(mode)
              })
            }),
          ),
        koa: (app) =>
          app.use((ctx, next) => {
            ctx.set(verdictOf(mode).headers) // Koa wipes them when it answers an error
            if (verdictOf(mode).error) throw bare(mode)
            return next()
          }),
      }),
    ],
    [
      'holds a stream back until its end',
      /leaves a stream a stream/,
      (mode, right) => ({
        ...right,
        express: (app) => {
          right.express(app, undefined as never)
          app.use((_req, res, next) => {
            const held: unknown[] = []
            const { end } = res
            res.write = ((chunk: unknown) => held.push(chunk) > 0) as typeof res.write
            res.end = (() => end.call(res, Buffer.concat(held as Buffer[]), 'utf8')) as typeof res.end
            next()
          })
        },
        fastify: (app) => {
          right.fastify(app)
          app.addHook('onSend', async (_request, _reply, payload) => {
            if (!(payload instanceof Readable)) return payload
            const chunks: Buffer[] = []
            for await (const chunk of payload) chunks.push(chunk)
            return Buffer.concat(chunks)
          })
        },
        koa: (app) => {
          right.koa(app, undefined as never)
          app.use(async (ctx, next) => {
            await next()
            const chunks: Buffer[] = []
            if (mode !== 'admit' || typeof ctx.body !== 'object' || ctx.body === null) return
            for await (const chunk of ctx.body as AsyncIterable<Buffer>) chunks.push(chunk)
            ctx.body = Buffer.concat(chunks)
          })
        },
      }),
    ],
    [
      'keeps one of several Set-Cookie headers',
      /keeps several Set-Cookie/,
      (_mode, right) => ({
        ...right,
        express: (app) => {
          right.express(app, undefined as never)
          app.use((_req, res, next) => {
            const { setHeader } = res
            res.setHeader = (name, value) =>
              setHeader.call(res, name, Array.isArray(value) ? value.slice(-1) : value)
            next()
          })
        },
        fastify: (app) => {
          right.fastify(app)
          app.addHook('onSend', async (_request, reply) => {
            const cookies = reply.getHeader('set-cookie')
            reply.removeHeader('set-cookie')
            if (Array.isArray(cookies)) reply.header('set-cookie', cookies.at(-1))
          })
        },
        koa: (app) => {
          right.koa(app, undefined as never)
          app.use(async (ctx, next) => {
            await next()
            ctx.set(
              Object.fromEntries(
                Object.entries(ctx.response.headers).map(([k, v]) => [k, [v].flat().at(-1)!]),
              ) as Record<string, string>,
            )
          })
        },
      }),
    ],
    [
      'keeps the headers of a refusal on the error alone',
      /^L51 with an error handler/,
      (mode, right) => ({
        ...right,
        express: (app) => app.use((_req, _res, next) => next(verdictOf(mode).error)),
        fastify: (app) =>
          app.register(
            plugin('wrong', async (scope: FastifyInstance) => {
              scope.addHook('onRequest', async () => {
                throw verdictOf(mode).error
              })
            }),
          ),
        koa: (app) =>
          app.use(() => {
            throw verdictOf(mode).error
          }),
      }),
    ],
    [
      'has the key of the client on its error',
      /^L52 a refusal prints as one line/,
      (_mode, right) => telling(right, 'key'),
    ],
    [
      'has the key of the client in its message',
      /^L52 without an error handler of the app, in production/,
      (_mode, right) => telling(right, 'message'),
    ],
    [
      'lets a request through after refusing it',
      /the handler does not run/,
      (mode, right) => ({
        ...right,
        express: (app) =>
          app.use((_req, res, next) => {
            applyVerdict({ headers: verdictOf(mode).headers }, res, next)
          }),
        fastify: (app) =>
          app.register(
            plugin('wrong', async (scope: FastifyInstance) => {
              scope.addHook('onRequest', async (_request, reply) =>
                setHeaders(reply, verdictOf(mode).headers),
              )
            }),
          ),
        koa: (app) =>
          app.use(async (ctx, next) => {
            await next()
            applyToKoa(verdictOf(mode), ctx)
          }),
      }),
    ],
    [
      'goes on when its backend is down',
      /backend is down/,
      (mode, right) => (mode === 'fail' ? reference('admit') : right),
    ],
    [
      'leaves a rejection to nobody',
      /admits a request/,
      (_mode, right) => {
        void Promise.reject(new Error('nobody'))
        return right
      },
    ],
    [
      'leaves a timer running',
      /keeps the process alive/,
      (_mode, right) => {
        const timer = setInterval(() => {}, 1_000)
        timers.push(timer)
        return right
      },
    ],
  ]
  const timers: NodeJS.Timeout[] = []
  beforeAll(() => {
    patience.milliseconds = 500
  })
  afterAll(() => {
    patience.milliseconds = 10_000
  })
  const bare = (mode: GateMode) =>
    new RejectedError('no', { code: verdictOf(mode).error!.code, status: verdictOf(mode).error!.status })

  for (const [what, title, wrong] of rows) {
    for (const framework of FRAMEWORKS) {
      it(`${what} (${framework})`, async () => {
        const checks = gateChecks({ ...spec, setup: (mode) => wrong(mode, reference(mode)) })
        const failed = await failures(
          checks.filter((check) => title.test(check.title)),
          framework,
        )
        for (const timer of timers.splice(0)) clearInterval(timer)
        expect(failed).toHaveLength(1)
      })
    }
  }

  it('changes the answer of the route', async () => {
    const failed = await failures(
      gateChecks({ ...spec, setup: reference, admitted: { headers: ['x-none'] } }),
      'koa3',
    )
    expect(failed).toContain('admits a request and changes nothing but the headers it promises')
    expect(failed).toContain('leaves a binary body alone')
  })

  it('forgets the scope, the opt-out or the error handler (Fastify)', async () => {
    const setup = (mode: GateMode): GateSubject => ({
      ...reference(mode),
      fastify: (app) =>
        app.register(async (closed) => {
          closed.addHook('onRequest', async () => {
            const { error } = verdictOf(mode)
            if (error !== undefined) throw error
          })
        }),
    })
    const failed = await failures(gateChecks({ ...spec, setup }), 'fastify5')
    for (const registration of ['plain', 'awaited', 'late', 'encapsulated'])
      expect(failed).toContain(`Fastify: guards its scope when registered ${registration}`)
    expect(failed).toContain('Fastify: a route opts out by its config')
    expect(failed).toContain("a refusal reaches the user's own error handler, with code, status and headers")
  })
})
