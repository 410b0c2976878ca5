import { readdir } from 'node:fs/promises'
import { FRAMEWORKS, type Framework, operatorSuite, type RunningApp, serving } from '@spillway/kit/testing'
import { afterEach, describe, expect, it } from 'vitest'
import * as express from '../../src/express.js'
import * as fastify from '../../src/fastify.js'
import type { MemoryMonitor } from '../../src/index.js'
import * as koa from '../../src/koa.js'
import { scratch } from '../scratch.js'
import { closeAll, FakeSystem, GB, stand } from '../support.js'

afterEach(closeAll)

/** An app with the report on `/memory`, for those whom `allow` lets see it. */
function reporting<T>(
  framework: Framework,
  monitor: MemoryMonitor,
  allow: (authorization: string | undefined) => boolean | Promise<boolean>,
  work: (app: RunningApp) => Promise<T>,
): Promise<T> {
  const site = {
    routes: { 'GET /': () => ({}) },
    ownErrorHandler: true,
    mounts: {
      express: (app) =>
        app.all(
          '/memory',
          express.memoryReport(monitor, { allow: (req) => allow(req.get('authorization')) }),
        ),
      fastify: (app) =>
        app.route({
          method: ['GET', 'POST'],
          url: '/memory',
          handler: fastify.memoryReport(monitor, { allow: ({ headers }) => allow(headers.authorization) }),
        }),
      koa: (app) =>
        app.use(koa.memoryReport(monitor, { allow: (ctx) => allow(ctx.get('authorization') || undefined) })),
    },
  } satisfies Parameters<typeof serving>[1]
  return serving(framework, site, work)
}

const secret = { headers: { authorization: 'secret' } }

describe.each(FRAMEWORKS)('the report on %s', (framework) => {
  it('is for those whom allow lets in; the others get 403 through the error handler', async () => {
    await using directory = await scratch()
    const { monitor } = stand({ snapshot: { directory: directory.path, memoryFactor: 1 } })
    const allow = async (authorization: string | undefined) => authorization === 'secret'
    await reporting(framework, monitor, allow, async (app) => {
      for (const method of ['GET', 'POST']) {
        const answer = await app.ask('/memory', { method })
        expect(answer.status).toBe(403)
        expect(JSON.parse(answer.text)).toEqual({ problem: 'ERR_MEMORY_REPORT_FORBIDDEN' })
        expect(answer.text).not.toContain('stats')
      }
      expect(app.errors).toHaveLength(2)
      expect(await readdir(directory.path)).toEqual([])
      const answer = await app.ask('/memory', secret)
      expect(answer.status).toBe(200)
      expect(JSON.parse(answer.text)).toMatchObject({ pid: process.pid, leaks: [] })
    })
  })

  it('a guard that fails, or says something else than true, lets nobody in', async () => {
    const { monitor } = stand()
    const broken = () => Promise.reject(new Error('no session store'))
    await reporting(framework, monitor, broken, async (app) => {
      expect((await app.ask('/memory')).status).toBe(500)
      expect(app.errors).toEqual([new Error('no session store')])
    })
    const vague: () => unknown = () => 'yes'
    await reporting(framework, monitor, vague as () => boolean, async (app) => {
      expect((await app.ask('/memory')).status).toBe(403)
    })
  })

  it('comes as JSON, text or HTML; POST takes a snapshot, or says why not', {
    timeout: 120_000,
  }, async () => {
    await using directory = await scratch()
    const system = new FakeSystem()
    system.ram = 64 * GB
    const { monitor } = stand({ snapshot: { directory: directory.path } }, system)
    await reporting(
      framework,
      monitor,
      () => true,
      async (app) => {
        const type = async (path: string, accept = '*/*') =>
          (await app.ask(path, { headers: { accept } })).headers['content-type']?.split(';')[0]
        expect(await type('/memory')).toBe('application/json')
        expect(await type('/memory?format=text')).toBe('text/plain')
        expect(await type('/memory?format=html')).toBe('text/html')
        expect(await type('/memory', 'text/html,*/*')).toBe('text/html')
        const taken = await app.ask('/memory', { method: 'POST' })
        expect(taken.status).toBe(201)
        expect(taken.text).toContain(directory.path)
        const refused = await app.ask('/memory', { method: 'POST' })
        expect(refused.status).toBe(409)
        expect(JSON.parse(refused.text)).toEqual({ problem: 'ERR_MEMORY_SNAPSHOT_REFUSED' })
      },
    )
  })
})

operatorSuite('the memory report', {
  paths: { '/memory': ['GET', 'POST'], '/memory?format=html': ['GET'], '/memory?format=text': ['GET'] },
  code: 'ERR_MEMORY_REPORT_FORBIDDEN',
  setup(options) {
    // A snapshot that is refused for lack of memory: 409, which only those see whom the guard lets in.
    const system = new FakeSystem()
    const { monitor } = stand({ snapshot: { memoryFactor: 1_000_000 } } as never, system)
    return {
      express: (app) => app.all('/memory', express.memoryReport(monitor, options)),
      fastify: (app) =>
        app.route({
          method: ['GET', 'POST'],
          url: '/memory',
          handler: fastify.memoryReport(monitor, options),
        }),
      koa: (app) => app.use(koa.memoryReport(monitor, options)),
    }
  },
})
