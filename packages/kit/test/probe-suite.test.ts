import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  FRAMEWORKS,
  type Framework,
  failures,
  type ProbeSubject,
  patience,
  probeChecks,
  probeSuite,
} from '../testing/index.js'

interface Report {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const right = (healthy: boolean): Report => ({
  status: healthy ? 200 : 503,
  headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' },
  body: JSON.stringify({ healthy }),
})

/** A probe as small as it gets: the same report on every framework. */
const probe =
  (report: (healthy: boolean) => Report) =>
  (healthy: boolean): ProbeSubject => ({
    express: (app) => app.get('/healthz', (_req, res: ServerResponse) => answer(res, report(healthy))),
    fastify: (app) =>
      app.get('/healthz', (_request, reply) => {
        const { status, headers, body } = report(healthy)
        return reply.code(status).headers(headers).send(body)
      }),
    koa: (app) =>
      app.use((ctx, next) => {
        if (ctx.path !== '/healthz') return next()
        const { status, headers, body } = report(healthy)
        ctx.status = status
        ctx.set(headers)
        ctx.body = body
      }),
  })

function answer(res: ServerResponse, { status, headers, body }: Report): void {
  res.writeHead(status, headers).end(body)
}

probeSuite('a right probe', { path: '/healthz', setup: probe(right) })

probeSuite('a probe that is never unhealthy, in text', {
  path: '/healthz',
  unhealthy: false,
  type: 'text/plain',
  setup: probe(() => ({ ...right(true), headers: { ...right(true).headers, 'content-type': 'text/plain' } })),
})

describe('the probe suite fails for a probe that', () => {
  beforeAll(() => {
    patience.milliseconds = 500
  })
  afterAll(() => {
    patience.milliseconds = 10_000
  })

  const failed = (setup: (healthy: boolean) => ProbeSubject, framework: Framework, title: string) =>
    failures(
      probeChecks({ path: '/healthz', setup }).filter((check) => check.title === title),
      framework,
    )

  describe.each(FRAMEWORKS)('on %s', (framework) => {
    it('answers 200 when unhealthy', async () => {
      const titles = await failed(
        probe((healthy) => ({ ...right(healthy), status: 200 })),
        framework,
        'unhealthy: answers 503, application/json, never to be stored',
      )
      expect(titles).toEqual(['unhealthy: answers 503, application/json, never to be stored'])
    })

    it('may be stored', async () => {
      const titles = await failed(
        probe((healthy) => ({ ...right(healthy), headers: { 'content-type': 'application/json' } })),
        framework,
        'healthy: answers 200, application/json, never to be stored',
      )
      expect(titles).toEqual(['healthy: answers 200, application/json, never to be stored'])
    })

    it('sends broken JSON', async () => {
      const titles = await failed(
        probe((healthy) => ({ ...right(healthy), body: '{"healthy":' })),
        framework,
        'answers many at once',
      )
      expect(titles).toEqual(['answers many at once'])
    })

    it('answers where it was not asked to', async () => {
      const titles = await failed(
        (healthy) => ({
          ...probe(right)(healthy),
          express: (app) => app.use((_req, res) => answer(res, right(healthy))),
          fastify: (app) => app.get('/*', (_request, reply) => reply.send(right(healthy).body)),
          koa: (app) =>
            app.use((ctx) => {
              ctx.body = right(healthy).body
            }),
        }),
        framework,
        'leaves every other path alone',
      )
      expect(titles).toEqual(['leaves every other path alone'])
    })

    it('leaves a timer running', async () => {
      const timers: NodeJS.Timeout[] = []
      const titles = await failed(
        (healthy) => {
          timers.push(setInterval(() => {}, 1_000))
          return probe(right)(healthy)
        },
        framework,
        'nothing keeps the process alive after the app is closed',
      )
      for (const timer of timers) clearInterval(timer)
      expect(titles).toEqual(['nothing keeps the process alive after the app is closed'])
    })
  })

  it.each(['express4', 'express5'] as const)('answers 304 (%s)', async (framework) => {
    const titles = await failed(
      (healthy) => ({
        ...probe(right)(healthy),
        express: (app) =>
          app.get('/healthz', (_req, res) => res.set('cache-control', 'no-store').json({ healthy })),
      }),
      framework,
      'healthy: answers a conditional request in full, never 304',
    )
    expect(titles).toEqual(['healthy: answers a conditional request in full, never 304'])
  })
})
