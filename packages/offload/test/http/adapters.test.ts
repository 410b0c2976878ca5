import {
  attachSuite,
  FRAMEWORKS,
  type Mounts,
  printedDuring,
  serving,
  until,
  visit,
} from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import { closeWith, offload as expressOffload } from '../../src/express.js'
import { offload as fastifyOffload, offloaderPlugin } from '../../src/fastify.js'
import type { RouteOptions } from '../../src/http/route.js'
import type { Offloader, Task } from '../../src/index.js'
import { closeWith as closeKoaWith, offload as koaOffload } from '../../src/koa.js'
import { cells, offloaderWith, task } from '../support.js'

interface RouteSpec extends RouteOptions {
  readonly path: string
  readonly task: Task<any, any, any>
  input(query: URLSearchParams): unknown
}

/** Mounts routes that are answered by tasks, as each framework's user writes it, and closes the offloader with the app. */
function mounted(offloader: Offloader, routes: readonly RouteSpec[]): Mounts {
  const queryOf = (url: string | undefined) => new URL(url ?? '/', 'http://x').searchParams
  return {
    express(app, server) {
      for (const { path, task, input, ...options } of routes) {
        app.get(path, expressOffload(task, { ...options, input: (req) => input(queryOf(req.url)) }))
      }
      closeWith(server, offloader)
    },
    fastify(app) {
      app.register(offloaderPlugin, { offloader })
      for (const { path, task, input, ...options } of routes) {
        app.get(path, fastifyOffload(task, { ...options, input: (request) => input(queryOf(request.url)) }))
      }
    },
    koa(app, server) {
      for (const { path, task, input, ...options } of routes) {
        const route = koaOffload(task, { ...options, input: (ctx) => input(queryOf(ctx.url)) })
        app.use((ctx, next) => (ctx.path === path ? route(ctx, next) : next()))
      }
      closeKoaWith(server, offloader)
    },
  }
}

attachSuite('offload', {
  setup() {
    const offloader = offloaderWith({ grace: '10s' })
    const counter = cells()
    const polite = task(offloader, 'spinPolitely')
    return {
      ...mounted(offloader, [{ path: '/work', task: polite, input: () => counter }]),
      offloader,
      counter,
      closed: () => offloader.stats().threads.alive === 0 && offloader.capacity === 0,
    }
  },
  route: {
    path: '/work',
    started: ({ counter }) => until(() => Atomics.load(counter, 0) > 0, 'the task runs'),
    stopped: ({ offloader }) => until(() => offloader.stats().threads.idle === 1, 'the task has ended'),
  },
})

describe.each(FRAMEWORKS)('%s', (framework) => {
  it('answers with the output: JSON, text, bytes, nothing', async () => {
    const offloader = offloaderWith()
    const echo = task(offloader, 'echo')
    const values: Record<string, unknown> = {
      json: { a: [1] },
      text: 'plain',
      bytes: Uint8Array.of(0, 255, 7),
    }
    const mounts = mounted(offloader, [
      { path: '/', task: echo, input: (query) => values[String(query.get('of'))] },
    ])
    await serving(framework, { routes: {}, mounts }, async (app) => {
      expect(JSON.parse((await app.ask('/?of=json')).text)).toEqual({ a: [1] })
      expect((await app.ask('/?of=text')).text).toBe('plain')
      const { body, headers } = await app.ask('/?of=bytes')
      expect([...body]).toEqual([0, 255, 7])
      expect(headers['content-type']).toBe('application/octet-stream')
    })
    await until(() => offloader.stats().threads.alive === 0, 'the offloader has closed with the app')
  })

  it("503, 504 and the task's own errors reach the error handler of the app", async () => {
    // A generous grace: a slow machine must not cost the thread whose task does listen.
    const offloader = offloaderWith({ queue: 0, grace: '10s' })
    const mounts = mounted(offloader, [
      { path: '/', task: task(offloader, 'failWith'), input: (query) => query.get('kind') },
      { path: '/slow', task: task(offloader, 'sleep'), input: () => 60_000, deadline: 50 },
      { path: '/hold', task: task(offloader, 'sleep'), input: () => 60_000 },
      {
        path: '/input',
        task: task(offloader, 'echo'),
        input: () => {
          throw Object.assign(new Error('bad input'), { status: 400, expose: true })
        },
      },
    ])
    await serving(framework, { routes: {}, mounts, ownErrorHandler: true }, async (app) => {
      expect((await app.ask('/?kind=named')).status).toBe(500)
      expect((await app.ask('/slow')).status).toBe(504)
      expect((await app.ask('/input')).status).toBe(400)
      await until(() => offloader.stats().threads.idle === 1, 'the thread is free')
      const client = visit(`${app.origin}/hold`)
      try {
        await until(() => offloader.stats().tasks.sleep?.running === 1, 'the thread is taken')
        const refused = await app.ask('/?kind=named')
        expect(refused.status).toBe(503)
        // L51: the app's own handler knows nothing of headers on the error.
        expect(refused.headers['retry-after']).toMatch(/^[1-9]/)
        expect(app.errors.at(-1)).toMatchObject({
          headers: { 'Retry-After': expect.stringMatching(/^[1-9]/) },
        })
      } finally {
        client.destroy()
      }
      await until(() => offloader.stats().threads.idle === 1, 'the task of the client that left is stopped')
      expect(app.errors.map((error) => (error as { code?: unknown; message: string }).code)).toEqual([
        'E_TIME',
        'ERR_OFFLOAD_DEADLINE',
        undefined,
        'ERR_OFFLOAD_QUEUE_FULL',
      ])
    })
  })

  it('S11, L52: a refusal, a timeout and a lost thread tell strangers and logs nothing of the code', async () => {
    const offloader = offloaderWith({ queue: 0, grace: '10s' })
    const mounts = mounted(offloader, [
      { path: '/slow', task: task(offloader, 'sleep'), input: () => 60_000, deadline: 50 },
      { path: '/hold', task: task(offloader, 'sleep'), input: () => 60_000 },
      { path: '/refused', task: task(offloader, 'echo'), input: () => 1 },
    ])
    const lines: string[] = []
    const log = (line: string) => void lines.push(line)
    const printed = await printedDuring(() =>
      serving(framework, { routes: {}, mounts, env: 'production', log }, async (app) => {
        const late = await app.ask('/slow')
        expect(late.status).toBe(504)
        await until(() => offloader.stats().threads.idle === 1, 'the thread is free')
        const client = visit(`${app.origin}/hold`)
        await until(() => offloader.stats().tasks.sleep?.running === 1, 'the thread is taken')
        const refused = await app.ask('/refused')
        expect([refused.status, refused.headers['retry-after']]).toEqual([
          503,
          expect.stringMatching(/^[1-9]/),
        ])
        client.destroy()
        for (const { text } of [late, refused]) expect(text).not.toMatch(/sleep|echo|\.[jt]s|\n\s+at /)
      }),
    )
    expect(printed).toBe('')
    for (const line of lines) expect(JSON.parse(line).err?.stack ?? '').not.toMatch(/\n\s+at /)
  })

  it('O21: a body that is read to its end is no disconnect', async () => {
    const offloader = offloaderWith()
    const mounts = mounted(offloader, [{ path: '/', task: task(offloader, 'slowEcho'), input: () => 100 }])
    await serving(framework, { routes: {}, mounts }, async (app) => {
      expect((await app.ask('/')).text).toBe('100')
    })
    expect(offloader.stats().calls).toMatchObject({ completed: 1, aborted: 0 })
  })

  it('streams progress as server-sent events, then the result or the error', async () => {
    const offloader = offloaderWith()
    const mounts = mounted(offloader, [
      { path: '/', task: task(offloader, 'progress'), input: () => 3, progress: 'sse' },
      { path: '/fails', task: task(offloader, 'progressThenFail'), input: () => 3, progress: 'sse' },
      { path: '/at-once', task: task(offloader, 'failWith'), input: () => 'named', progress: 'sse' },
    ])
    await serving(framework, { routes: {}, mounts, ownErrorHandler: true }, async (app) => {
      const { text, headers } = await app.ask('/')
      expect(headers['content-type']).toBe('text/event-stream; charset=utf-8')
      expect(headers['cache-control']).toBe('no-cache, no-transform')
      const events = text.trimEnd().split('\n\n')
      expect(events.at(-1)).toBe('event: result\ndata: 3')
      expect(events.slice(0, -1)).toEqual([1, 2, 3].map((step) => `event: progress\ndata: {"step":${step}}`))
      const failed = (await app.ask('/fails')).text
      expect(failed).toBe(
        'event: progress\ndata: 1\n\nevent: error\ndata: {"status":500,"message":"Internal Server Error"}\n\n',
      )
      expect((await app.ask('/at-once')).status).toBe(500)
      expect(app.errors).toHaveLength(1)
    })
  })

  it('a client that leaves a stream of progress stops the task', async () => {
    const offloader = offloaderWith({ grace: '10s' })
    const mounts = mounted(offloader, [
      { path: '/', task: task(offloader, 'progressThenWait'), input: () => 0, progress: 'sse' },
    ])
    await serving(framework, { routes: {}, mounts, ownErrorHandler: true }, async (app) => {
      const response = await app.open('/')
      response.on('error', () => {})
      response.destroy()
      await until(() => offloader.stats().calls.aborted === 1, 'the call is aborted')
      await until(() => offloader.stats().threads.idle === 1, 'the thread is free')
      expect(app.errors).toEqual([])
    })
  })
})
