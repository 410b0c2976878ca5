import { randomUUID } from 'node:crypto'
import { OutgoingMessage } from 'node:http'
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import { FRAMEWORKS, type Framework, latch, type Mounts, until } from '@spillway/kit/testing'
import cookieSession from 'cookie-session'
import expressSession from 'express-session'
import type { FastifyRequest } from 'fastify'
import type { Context } from 'koa'
import koaSession from 'koa-session'
import onHeaders from 'on-headers'
import { describe, expect, it } from 'vitest'
import { given, late, type Raw, raw } from './middlewares.js'
import { type Asked, behind, statusOf } from './stand.js'

/** What is judged is the head that was sent, with all that was added while it was written (RFC 9111 section 3). */

const PUBLIC = { 'cache-control': 'public, max-age=60' }
const EXPRESS = FRAMEWORKS.filter((name) => name.startsWith('express'))
const KOA = FRAMEWORKS.filter((name) => name.startsWith('koa'))
const SECRET = 'a secret of thirty-two characters'
const NONE = () => {}

const SESSIONS = {
  'express-session': () => expressSession({ secret: SECRET, resave: false, saveUninitialized: false }),
  'express-session that saves every visit': () =>
    expressSession({ secret: SECRET, resave: true, saveUninitialized: true, rolling: true }),
  'cookie-session': () => cookieSession({ keys: [SECRET] }),
}

interface Sessions {
  readonly session: { token?: string }
}

function tokenPage(asked: Asked) {
  const { session } = asked as unknown as Sessions
  session.token ??= randomUUID()
  return { body: `token ${session.token}` }
}

describe.each(EXPRESS)('%s', (framework) => {
  const sessions = Object.entries(SESSIONS).flatMap(([name, make]) =>
    (['outside', 'inside'] as const).map((place) => ({ name, make, place })),
  )

  it.each(sessions)("H20 with $name $place of the cache nobody gets another visitor's token", (session) => {
    const mounted: Mounts = { express: (app) => app.use(session.make()), fastify: NONE, koa: NONE }
    return behind(
      framework,
      {
        reply: (_run, asked) => tokenPage(asked),
        options: { ttl: '30s' },
        [session.place]: mounted,
      },
      async ({ get, ask, idle, runs }) => {
        const first = await get()
        const cookie = first.headers['set-cookie']!.map((each) => each.split(';')[0]).join('; ')
        const others = [await get(), await get(), ...(await Promise.all([1, 2, 3].map(() => ask('/'))))]
        await idle()
        expect(new Set([first, ...others].map(({ text }) => text)).size).toBe(6)
        expect(runs()).toBe(6)
        expect((await get({ cookie })).text).toBe(first.text)
      },
    )
  })

  it('H20 those who wait for a response that got a cookie at the last moment run their own handler', () => {
    const begun = latch()
    const finish = latch()
    return behind(
      framework,
      {
        reply: async (run, asked) => {
          begun.open()
          if (run === 1) await finish.promise
          return tokenPage(asked)
        },
        options: { ttl: '30s' },
        outside: { express: (app) => app.use(SESSIONS['express-session']()), fastify: NONE, koa: NONE },
      },
      async ({ ask, cache, idle, runs }) => {
        const first = ask('/')
        await begun.promise
        const others = Array.from({ length: 10 }, () => ask('/'))
        await until(() => cache.stats().joins === 10, 'ten wait')
        finish.open()
        const answers = await Promise.all([first, ...others])
        await idle()
        expect(new Set(answers.map(({ text }) => text)).size).toBe(11)
        expect(runs()).toBe(11)
      },
    )
  })
})

/** What a middleware may do to a response that is public until then, so that it is not for others any more. */
const PRIVATE: Readonly<Record<string, Raw>> = {
  'a cookie by setHeader': late((_req, res) => res.setHeader('set-cookie', 'id=1')),
  'several cookies': late((_req, res) => res.setHeader('Set-Cookie', ['id=1', 'b=2'])),
  'a cookie by on-headers': (_req, res) => onHeaders(res, () => res.setHeader('set-cookie', 'id=1')),
  'a cookie by appendHeader': late((_req, res) => res.appendHeader('SET-COOKIE', 'id=1')),
  'a cookie in an object for writeHead': given({ 'Set-Cookie': 'id=1' }, 'object'),
  'a cookie in a list for writeHead': given({ 'SET-cookie': 'id=1' }, 'list'),
  'Cache-Control: private': given({ 'cache-control': 'private, max-age=60' }, 'object'),
  'Cache-Control: no-store': given({ 'cache-control': 'no-store' }, 'object'),
  'Cache-Control: no-cache in a list for writeHead': given({ 'Cache-Control': 'no-cache' }, 'list'),
  'Vary: *': late((_req, res) => res.setHeader('vary', '*')),
  'another status': (_req, res) => {
    const { writeHead } = res
    res.writeHead = ((_status: number, ...rest: unknown[]) =>
      Reflect.apply(writeHead, res, [403, ...rest])) as typeof writeHead
  },
  'a head that is written later': (_req, res) => {
    const { end } = res
    res.end = ((...args: unknown[]) => {
      setImmediate(() => {
        // Fastify writes the head before the end.
        if (!res.headersSent) res.setHeader('set-cookie', 'id=1')
        Reflect.apply(end, res, args)
      })
      return res
    }) as typeof end
  },
}

describe.each(FRAMEWORKS)('%s', (framework) => {
  it.each(
    Object.entries(PRIVATE).flatMap(([title, work]) =>
      (['outside', 'inside'] as const).map((place) => ({ title, work, place })),
    ),
  )('H20 not stored: $title, mounted $place of the cache', ({ title, work, place }) =>
    behind(
      framework,
      { reply: (run) => ({ headers: PUBLIC, body: `run ${run}` }), [place]: raw(work) },
      async ({ get, runs }) => {
        const whole = framework === 'fastify5' && title === 'a head that is written later'
        for (const run of whole ? [1] : [1, 2, 3]) expect((await get()).text).toBe(`run ${run}`)
        expect(runs()).toBe(whole ? 1 : 3)
      },
    ),
  )

  it('H20 headers that are added outside at the last moment are not replayed, but added anew', () => {
    let visits = 0
    return behind(
      framework,
      {
        reply: (run) => ({ headers: PUBLIC, body: `run ${run}` }),
        outside: raw(late((_req, res) => res.setHeader('x-visit', String(++visits)))),
      },
      async ({ get, runs }) => {
        const seen = [await get(), await get(), await get()].map(({ headers }) => headers['x-visit'])
        expect(seen).toEqual(['1', '2', '3'])
        expect(runs()).toBe(1)
      },
    )
  })

  it('H20 how long it is fresh is what was sent, not what the handler said', () =>
    behind(
      framework,
      {
        reply: (run) => ({ headers: PUBLIC, body: `run ${run}` }),
        outside: raw(given({ 'cache-control': 'public, max-age=5' }, 'object')),
      },
      async ({ get }) => {
        await get()
        expect(statusOf(await get())).toMatch(/^spillway; hit; ttl=[45]$/)
      },
    ))

  it('H20 a head that did not pass the cache is not known, and nothing is stored', () =>
    behind(
      framework,
      {
        reply: (run) => ({ headers: PUBLIC, body: `run ${run}` }),
        inside: raw((_req, res) => {
          const plain = Object.getPrototypeOf(res).writeHead as typeof res.writeHead
          res.writeHead = ((...args: unknown[]) => Reflect.apply(plain, res, args)) as typeof plain
        }),
      },
      async ({ get, runs }) => {
        for (const run of [1, 2]) expect((await get()).text).toBe(`run ${run}`)
        expect(runs()).toBe(2)
      },
    ))

  it('H20 an end that did not pass the cache leaves nobody waiting, and nothing is stored', () =>
    behind(
      framework,
      {
        reply: (run) => ({ headers: PUBLIC, body: `run ${run}` }),
        inside: raw((_req, res) => {
          res.end = ((...args: unknown[]) =>
            Reflect.apply(OutgoingMessage.prototype.end, res, args)) as typeof res.end
        }),
      },
      async ({ ask, idle, runs }) => {
        const answers = await Promise.all([ask('/'), ask('/'), ask('/')])
        await idle()
        expect(new Set(answers.map(({ text }) => text)).size).toBe(3)
        expect(runs()).toBe(3)
      },
    ))

  it('H28 Cache-Status does not say stored before that is known', () =>
    behind(framework, { reply: (run) => ({ headers: PUBLIC, body: `run ${run}` }) }, async ({ get }) => {
      expect(statusOf(await get())).toBe('spillway; fwd=uri-miss')
      expect(statusOf(await get())).toMatch(/^spillway; hit; ttl=/)
    }))
})

const fastify = (work: Mounts['fastify']): Mounts => ({ express: NONE, fastify: work, koa: NONE })

describe('fastify5', () => {
  const apart = async (mounts: Mounts, place: 'outside' | 'inside', reply = tokenPage) => {
    await behind(
      'fastify5',
      {
        reply: (_run, asked) => reply(asked),
        options: { ttl: '30s' },
        [place]: mounts,
      },
      async ({ get }) => {
        const texts = [await get(), await get(), await get()].map(({ text }) => text)
        expect(new Set(texts).size).toBe(3)
      },
    )
  }

  it.each(['outside', 'inside'] as const)(
    "H20 @fastify/session %s: nobody gets another visitor's token",
    (place) =>
      apart(
        fastify(async (app) => {
          await app.register(fastifyCookie)
          await app.register(fastifySession, {
            secret: SECRET,
            saveUninitialized: false,
            cookie: { secure: false },
          })
        }),
        place,
      ),
  )

  const anew = () => ({ body: `token ${randomUUID()}` })

  it.each(['outside', 'inside'] as const)('H20 a cookie set by an onSend hook %s', (place) =>
    apart(
      fastify((app) => {
        app.addHook('onSend', async (_request, reply) => void reply.header('set-cookie', 'id=1'))
      }),
      place,
      anew,
    ),
  )

  it('H20 a handler that takes the response over by hijack', () =>
    apart(
      fastify((app) => {
        app.addHook('preHandler', async (_request: FastifyRequest, reply) => {
          reply.hijack()
          reply.raw.writeHead(200, ['cache-control', 'public, max-age=60', 'set-cookie', 'id=1'])
          reply.raw.end(randomUUID())
        })
      }),
      'inside',
      anew,
    ))
})

describe.each(KOA)('%s', (framework: Framework) => {
  const koa = (work: (ctx: Context, next: () => Promise<void>) => Promise<void>): Mounts => ({
    express: NONE,
    fastify: NONE,
    koa: (app) => app.use(work),
  })
  const apart = (mounts: Mounts, place: 'outside' | 'inside' = 'outside') =>
    behind(
      framework,
      {
        reply: () => ({ body: `token ${randomUUID()}` }),
        options: { ttl: '30s' },
        [place]: mounts,
      },
      async ({ get }) => {
        const texts = [await get(), await get(), await get()].map(({ text }) => text)
        expect(new Set(texts).size).toBe(3)
      },
    )

  it.each(['outside', 'inside'] as const)(
    "H20 koa-session %s: nobody gets another visitor's token",
    (place) =>
      behind(
        framework,
        {
          reply: (_run, asked) => tokenPage(asked),
          options: { ttl: '30s' },
          [place]: {
            express: NONE,
            fastify: NONE,
            koa: (app) => {
              app.keys = [SECRET]
              app.use(koaSession(app))
            },
          } satisfies Mounts,
        },
        async ({ get }) => {
          const texts = [await get(), await get(), await get()].map(({ text }) => text)
          expect(new Set(texts).size).toBe(3)
        },
      ),
  )

  it('H20 an outer middleware sets a cookie on the way out', () =>
    apart(
      koa(async (ctx, next) => {
        await next()
        ctx.cookies.set('id', '1')
      }),
    ))

  it('H20 an outer middleware says private on the way out', () =>
    apart(
      koa(async (ctx, next) => {
        await next()
        ctx.set('cache-control', 'private')
      }),
    ))

  it.each(['outside', 'inside'] as const)('H20 ctx.respond = false and writeHead with a list, %s', (place) =>
    apart(
      koa(async (ctx, next) => {
        await next()
        ctx.respond = false
        ctx.res.writeHead(200, ['cache-control', 'public, max-age=60', 'set-cookie', 'id=1'])
        ctx.res.end(String(ctx.body))
      }),
      place,
    ),
  )
})
