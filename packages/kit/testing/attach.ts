import assert from 'node:assert/strict'
import type { Request } from 'express'
import type { FastifyRequest } from 'fastify'
import type { Context } from 'koa'
import { withoutLeak } from './census.js'
import { type Check, suite } from './check.js'
import { visit } from './client.js'
import { BINARY, Chunks, COOKIES, sameAnswer } from './expect.js'
import {
  type Framework,
  type Handler,
  type Mounts,
  type Native,
  type Registration,
  type Routes,
  type RunningApp,
  type Site,
  serving,
} from './frameworks.js'
import { printedDuring } from './stderr.js'
import { latch, turns, until, within, withoutUnhandled } from './waiting.js'

export interface AttachSubject extends Mounts {
  /** Whether the instance has been closed. */
  closed(): boolean
  /** Called after the app has been closed, and `closed` checked. */
  close?(): unknown
  /** What a handler must find, the very same. Default: any object. */
  readonly instance?: object
}

export interface AttachSpec<S extends AttachSubject = AttachSubject> {
  /** Makes what one check mounts on one app; it may hold more, for `work` and `route`. */
  setup(): S | Promise<S>
  /** Headers, in lower case, that the adapter adds to responses. Default: none. */
  readonly headers?: readonly string[]
  /** What a handler finds on the request or the app. Default: not checked; the adapter is a route handler. */
  readonly handle?: {
    express(req: Request): unknown
    fastify(request: FastifyRequest): unknown
    koa(ctx: Context): unknown
  }
  /** Work of a request that ends only with its client: rejects when the adapter's signal aborts. Default: not checked. */
  readonly work?: (native: Native, subject: S) => Promise<unknown>
  /** The same for an adapter that is a route handler: the mounts bring a route whose work ends only with its client. */
  readonly route?: {
    readonly path: string
    /** Resolves when the work of the next request has begun. */
    started(subject: S): Promise<unknown>
    /** Resolves when that work has been stopped before its end. */
    stopped(subject: S): Promise<unknown>
  }
}

/** Tests an attach adapter on every framework. See the README beside this file. */
export function attachSuite<S extends AttachSubject>(name: string, spec: AttachSpec<S>): void {
  suite(name, attachChecks(spec))
}

export function attachChecks<S extends AttachSubject>(spec: AttachSpec<S>): readonly Check[] {
  const { headers = [], handle, work, route } = spec

  async function attached(
    framework: Framework,
    site: Omit<Site, 'mounts'>,
    check: (app: RunningApp) => Promise<void>,
    before: S | Promise<S> = spec.setup(),
  ): Promise<void> {
    const subject = await before
    try {
      await withoutUnhandled(() => serving(framework, { ...site, mounts: subject }, check))
      await until(() => subject.closed(), 'the instance is closed with the app')
    } finally {
      await subject.close?.()
    }
  }

  const find =
    (handles: NonNullable<typeof handle>, registration: Registration) => async (framework: Framework) => {
      const subject = await spec.setup()
      const found: unknown[] = []
      const handler: Handler = (native) => {
        found.push(handleOf(handles, framework, native))
        return {}
      }
      const site: Site = { routes: { 'GET /': handler }, registration }
      await attached(
        framework,
        site,
        async (app) => {
          for (const { status } of await Promise.all([app.ask('/'), app.ask('/?second')]))
            assert.equal(status, 200)
          assert.equal(found.length, 2)
          for (const one of found) {
            if (subject.instance !== undefined) assert.equal(one, subject.instance, 'the very instance')
            else assert.ok(isObject(one), `a handle on the request, not ${one}`)
          }
        },
        subject,
      )
    }

  const stops =
    (
      path: string,
      routes: Routes,
      started: (subject: S) => Promise<unknown>,
      stopped: typeof started,
      site: Omit<Site, 'routes' | 'mounts'> = { ownErrorHandler: true },
    ) =>
    async (framework: Framework) => {
      const subject = await spec.setup()
      await attached(
        framework,
        { ...site, routes: { 'GET /': () => ({}), ...routes } },
        async (app) => {
          const begun = started(subject)
          const ended = stopped(subject)
          const client = visit(app.origin + path)
          await within(begun, 'the work starts')
          client.destroy()
          await within(ended, 'the work is stopped after its client has left')
          await app.idle()
          assert.equal((await app.ask('/')).status, 200, 'another request afterwards')
        },
        subject,
      )
    }

  const checks: Check[] = [
    {
      title: "leaves the route's answer alone: status, headers, cookies, bytes, HEAD, 304",
      run: async (framework) => {
        const routes = {
          'GET /': () => ({ status: 201, headers: { 'x-own': 'kept', 'set-cookie': COOKIES }, body: 'made' }),
          'GET /bytes': () => ({ headers: { 'content-type': 'application/octet-stream' }, body: BINARY }),
          'GET /tagged': () => ({ headers: { etag: '"v1"' }, body: 'text' }),
        }
        await serving(framework, { routes }, (bare) =>
          attached(framework, { routes }, async (app) => {
            const asks: Parameters<RunningApp['ask']>[] = [
              ['/'],
              ['/', { method: 'HEAD' }],
              ['/bytes'],
              ['/tagged', { headers: { 'if-none-match': '"v1"' } }],
              ['/not/there'],
            ]
            for (const question of asks)
              sameAnswer(await app.ask(...question), await bare.ask(...question), headers)
          }),
        )
      },
    },
    {
      title: 'leaves a stream a stream: each chunk arrives when it is written',
      run: async (framework) => {
        const chunks = new Chunks(['one ', 'two ', 'three'])
        await attached(framework, { routes: { 'GET /': chunks.handler } }, async (app) => {
          try {
            await chunks.arriveOneByOne(await app.open('/'))
          } finally {
            chunks.releaseAll()
          }
        })
      },
    },
    {
      title: "leaves the route's own error to the error handler, once",
      run: async (framework) => {
        const mistake = Object.assign(new Error('mistake'), { code: 'E_OWN', status: 418 })
        const site = { routes: { 'GET /': () => Promise.reject(mistake) }, ownErrorHandler: true }
        await attached(framework, site, async (app) => {
          assert.equal((await app.ask('/')).status, 418)
          assert.deepEqual(app.errors, [mistake])
        })
      },
    },
    {
      title: 'is closed with the app, after the last request is answered',
      run: async (framework) => {
        const begun = latch()
        const finish = latch()
        let closedTooEarly: boolean | undefined
        const subject = await spec.setup()
        const handler: Handler = async () => {
          begun.open()
          await finish.promise
          closedTooEarly = subject.closed()
          return { body: 'finished' }
        }
        await attached(
          framework,
          { routes: { 'GET /': handler } },
          async (app) => {
            assert.equal(subject.closed(), false, 'open before')
            const answer = app.ask('/')
            await within(begun.promise, 'the handler runs')
            const closing = app.close()
            await turns(20)
            finish.open()
            assert.equal((await answer).text, 'finished')
            await within(closing, 'the app closes')
            assert.equal(closedTooEarly, false, 'closed while a request was in flight')
          },
          subject,
        )
      },
    },
    {
      title: 'nothing keeps the process alive after the app is closed',
      run: (framework) =>
        withoutLeak(() =>
          attached(framework, { routes: { 'GET /': () => ({}) } }, async (app) => {
            assert.equal((await app.ask('/')).status, 200)
          }),
        ),
    },
  ]
  if (handle !== undefined) {
    checks.push({ title: 'a handler finds the instance', run: find(handle, 'plain') })
    for (const registration of ['awaited', 'late', 'encapsulated'] as const) {
      checks.push({
        title: `Fastify: a handler finds the instance when registered ${registration}`,
        only: 'fastify5',
        run: find(handle, registration),
      })
    }
  }
  const quiet =
    'B52 a client that leaves while its work runs leaves no line, though the app has no error handler'
  const title = 'stops the work of a request when its client leaves, and of no other'
  /** The same where nobody handles errors but the framework, which prints what it takes for one. */
  const silently =
    (run: (framework: Framework, site: Omit<Site, 'routes' | 'mounts'>) => Promise<void>) =>
    async (framework: Framework) => {
      const lines: string[] = []
      const site = { env: 'production', log: (line: string) => lines.push(line) } as const
      assert.equal(await printedDuring(() => run(framework, site)), '', 'printed')
      for (const line of lines) assert.ok(JSON.parse(line).err === undefined, `logged: ${line}`)
    }
  if (route !== undefined) {
    const { path, started, stopped } = route
    checks.push({ title, run: stops(path, {}, started, stopped) })
    checks.push({
      title: quiet,
      run: silently((framework, site) => stops(path, {}, started, stopped, site)(framework)),
    })
  }
  if (work !== undefined) {
    const leaving = async (framework: Framework, site?: Omit<Site, 'routes' | 'mounts'>) => {
      const begun = latch()
      const ended = latch()
      let subject: S
      const handler: Handler = async (native) => {
        const running = work(native, subject)
        begun.open()
        try {
          await running
        } catch (error) {
          ended.open()
          throw error
        }
        return { body: 'the work ended by itself' }
      }
      const started = (own: S) => {
        subject = own
        return begun.promise
      }
      await stops('/work', { 'GET /work': handler }, started, () => ended.promise, site)(framework)
    }
    checks.push({ title, run: (framework) => leaving(framework) })
    checks.push({ title: quiet, run: silently(leaving) })
  }
  return checks
}

function handleOf(handle: NonNullable<AttachSpec['handle']>, framework: Framework, native: Native): unknown {
  if (framework === 'fastify5') return handle.fastify(native as FastifyRequest)
  if (framework.startsWith('koa')) return handle.koa(native as Context)
  return handle.express(native as Request)
}

function isObject(value: unknown): boolean {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}
