import assert from 'node:assert/strict'
import { RejectedError } from '../src/errors.js'
import { withoutLeak } from './census.js'
import { type Check, suite } from './check.js'
import { askAndLeave } from './client.js'
import { counted } from './counted.js'
import { BINARY, Chunks, COOKIES, hasHeaders, lowerCase, sameAnswer } from './expect.js'
import {
  type Framework,
  type Handler,
  type Mounts,
  REGISTRATIONS,
  type Routes,
  type RunningApp,
  type Site,
  serving,
} from './frameworks.js'
import { refusalChecks } from './gate-refusals.js'
import { latch, withoutUnhandled } from './waiting.js'

export type GateMode =
  /** Every request may go. */
  | 'admit'
  /** No request may go. */
  | 'refuse'
  /** The backend that decides is down. */
  | 'fail'

export interface GateSubject extends Mounts {
  /** Called after the app has been closed. */
  close?(): unknown
}

export interface GateSpec {
  /** Makes what one check mounts on one app. */
  setup(mode: GateMode): GateSubject | Promise<GateSubject>
  readonly refusal: {
    readonly status: number
    readonly code: string
    /** Headers that a refused response carries, in lower case. */
    readonly headers: readonly string[]
  }
  /** What an admitted response has more than the bare app's. Default: nothing. */
  readonly admitted?: { readonly headers: readonly string[] }
  /** What happens when the backend is down: a refusal, or `'admit'`. Default: `setup('fail')` is never asked for. */
  readonly failure?: { readonly status: number; readonly code: string } | 'admit'
  /** Fastify route config by which a route opts out. Default: not checked. */
  readonly optOut?: object
  /** What no body, log or printed error may hold, such as the key of the client. Default: nothing. */
  readonly secrets?: readonly string[]
}

/** Tests a gate adapter on every framework. See the README beside this file. */
export function gateSuite(name: string, spec: GateSpec): void {
  suite(name, gateChecks(spec))
}

export function gateChecks(spec: GateSpec): readonly Check[] {
  const { refusal, admitted = { headers: [] }, failure, optOut } = spec

  async function gated(
    framework: Framework,
    mode: GateMode,
    site: Site,
    work: (app: RunningApp) => Promise<void>,
  ): Promise<void> {
    const subject = await spec.setup(mode)
    try {
      await withoutUnhandled(() => serving(framework, { ...site, mounts: subject }, work))
    } finally {
      await subject.close?.()
    }
  }

  /** The gated app answers as the bare app does, but for the promised headers. */
  async function sameAsBare(
    framework: Framework,
    handler: Handler,
    ...asks: Parameters<RunningApp['ask']>[]
  ) {
    const site = { routes: { 'GET /': handler, 'POST /': handler } }
    await serving(framework, site, (bare) =>
      gated(framework, 'admit', site, async (app) => {
        for (const question of asks) {
          const answer = await app.ask(...question)
          sameAnswer(answer, await bare.ask(...question), admitted.headers)
          hasHeaders(answer.headers, admitted.headers)
        }
      }),
    )
  }

  async function refusedEverywhere(app: RunningApp, paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const answer = await app.ask(path)
      assert.equal(answer.status, refusal.status, `status of ${path}`)
      hasHeaders(answer.headers, refusal.headers)
    }
  }

  const checks: Check[] = [
    {
      title: 'admits a request and changes nothing but the headers it promises',
      run: (framework) =>
        sameAsBare(
          framework,
          () => ({ status: 201, headers: { 'x-own': 'kept', 'cache-control': 'max-age=5' }, body: 'made' }),
          ['/'],
          ['/?a=1&a=2'],
          ['/', { method: 'POST', body: 'a=1' }],
        ),
    },
    {
      title: 'leaves a binary body alone',
      run: (framework) =>
        sameAsBare(
          framework,
          () => ({ headers: { 'content-type': 'application/octet-stream' }, body: BINARY }),
          ['/'],
        ),
    },
    {
      title: 'keeps several Set-Cookie headers',
      run: (framework) => sameAsBare(framework, () => ({ headers: { 'set-cookie': COOKIES } }), ['/']),
    },
    {
      title: 'answers HEAD as the bare app does',
      run: (framework) =>
        sameAsBare(framework, () => ({ headers: { 'x-own': 'kept' }, body: 'text' }), [
          '/',
          { method: 'HEAD' },
        ]),
    },
    {
      title: 'keeps the freshness check of the framework: a conditional request is answered as before',
      run: (framework) =>
        sameAsBare(
          framework,
          () => ({ headers: { etag: '"v1"' }, body: 'text' }),
          ['/', { headers: { 'if-none-match': '"v1"' } }],
          ['/', { headers: { 'if-none-match': '"v0"' } }],
        ),
    },
    {
      title: 'leaves a stream a stream: each chunk arrives when it is written',
      run: async (framework) => {
        const chunks = new Chunks(['one ', 'two ', 'three'])
        await gated(framework, 'admit', { routes: { 'GET /': chunks.handler } }, async (app) => {
          try {
            const response = await app.open('/')
            hasHeaders(response.headers, admitted.headers)
            await chunks.arriveOneByOne(response)
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
        const site: Site = { routes: { 'GET /': () => Promise.reject(mistake) }, ownErrorHandler: true }
        await gated(framework, 'admit', site, async (app) => {
          const answer = await app.ask('/')
          assert.equal(answer.status, 418)
          assert.deepEqual(app.errors, [mistake])
        })
      },
    },
    {
      title: 'refuses with its status and headers, and the handler does not run',
      run: async (framework) => {
        const { routes, runs } = counted()
        await gated(framework, 'refuse', { routes }, async (app) => {
          await refusedEverywhere(app, ['/', '/?a=1', '/not/there'])
          const post = await app.ask('/', { method: 'POST', body: 'a=1' })
          assert.equal(post.status, refusal.status, 'status of a POST')
          assert.equal(runs(), 0, 'the handler ran')
        })
      },
    },
    {
      title: 'refuses HEAD in the same way, without a body',
      run: async (framework) => {
        await gated(framework, 'refuse', { routes: counted().routes }, async (app) => {
          const answer = await app.ask('/', { method: 'HEAD' })
          assert.equal(answer.status, refusal.status)
          hasHeaders(answer.headers, refusal.headers)
          assert.equal(answer.body.length, 0)
        })
      },
    },
    {
      title: 'refuses many at once, each of them in full',
      run: async (framework) => {
        const { routes, runs } = counted()
        await gated(framework, 'refuse', { routes }, async (app) => {
          const answers = await Promise.all(Array.from({ length: 20 }, () => app.ask('/')))
          for (const { status, headers } of answers) {
            assert.equal(status, refusal.status)
            hasHeaders(headers, refusal.headers)
          }
          assert.equal(runs(), 0, 'the handler ran')
        })
      },
    },
    {
      title: "a refusal reaches the user's own error handler, with code, status and headers",
      run: async (framework) => {
        const site = { routes: counted().routes, ownErrorHandler: true }
        await gated(framework, 'refuse', site, async (app) => {
          const answer = await app.ask('/')
          assert.equal(answer.status, refusal.status)
          assert.deepEqual(JSON.parse(answer.text), { problem: refusal.code })
          assert.equal(app.errors.length, 1, 'errors seen')
          const error = app.errors[0]
          assert.ok(error instanceof RejectedError, 'a RejectedError')
          const { code, status, statusCode, headers } = error
          assert.deepEqual(
            { code, status, statusCode },
            { code: refusal.code, status: refusal.status, statusCode: refusal.status },
          )
          hasHeaders(lowerCase(headers), refusal.headers)
        })
      },
    },
    {
      title: 'a client that leaves early does no harm',
      run: async (framework) => {
        const gone = latch()
        let waiting = 0
        const routes: Routes = {
          'GET /slow': async () => {
            waiting++
            await gone.promise
            return {}
          },
          'GET /': () => ({}),
        }
        await gated(framework, 'admit', { routes }, async (app) => {
          try {
            await Promise.all(Array.from({ length: 5 }, () => askAndLeave(`${app.origin}/slow`)))
          } finally {
            gone.open()
          }
          await app.idle()
          assert.ok(waiting <= 5)
          assert.equal((await app.ask('/')).status, 200)
        })
        await gated(framework, 'refuse', { routes }, async (app) => {
          await Promise.all(Array.from({ length: 5 }, () => askAndLeave(`${app.origin}/`)))
          await app.idle()
          await refusedEverywhere(app, ['/'])
        })
      },
    },
    {
      title: 'nothing keeps the process alive after the app is closed',
      run: (framework) =>
        withoutLeak(() =>
          gated(framework, 'admit', { routes: counted().routes }, async (app) => {
            assert.equal((await app.ask('/')).status, 200)
          }),
        ),
    },
  ]

  checks.push(
    ...refusalChecks(spec, (framework, site, work) =>
      gated(framework, 'refuse', { ...site, routes: counted().routes }, work),
    ),
  )

  if (failure !== undefined) {
    checks.push({
      title:
        failure === 'admit'
          ? 'lets requests through while the backend is down'
          : `answers ${failure.status} while the backend is down, through the error handler`,
      run: async (framework) => {
        const { routes, runs } = counted()
        await gated(framework, 'fail', { routes, ownErrorHandler: true }, async (app) => {
          const answer = await app.ask('/')
          if (failure === 'admit') {
            assert.equal(answer.status, 200)
            assert.equal(runs(), 1, 'runs of the handler')
            assert.deepEqual(app.errors, [])
          } else {
            assert.equal(answer.status, failure.status)
            assert.deepEqual(JSON.parse(answer.text), { problem: failure.code })
            assert.equal(runs(), 0, 'the handler ran')
          }
        })
      },
    })
  }

  for (const registration of REGISTRATIONS) {
    checks.push({
      title: `Fastify: guards its scope when registered ${registration}`,
      only: 'fastify5',
      run: async (framework) => {
        const inside = counted()
        const outside = counted()
        const site: Site = {
          registration,
          routes: { 'GET /inside': inside.handler },
          outside: { 'GET /outside': outside.handler },
        }
        await gated(framework, 'admit', site, async (app) => {
          const answer = await app.ask('/inside')
          assert.equal(answer.status, 200)
          hasHeaders(answer.headers, admitted.headers)
        })
        await gated(framework, 'refuse', site, async (app) => {
          await refusedEverywhere(app, ['/inside'])
          if (registration === 'encapsulated') assert.equal((await app.ask('/outside')).status, 200)
          assert.equal(inside.runs(), 1, 'runs inside')
        })
      },
    })
  }

  if (optOut !== undefined) {
    checks.push({
      title: 'Fastify: a route opts out by its config',
      only: 'fastify5',
      run: async (framework) => {
        const { handler, runs } = counted()
        const routes: Routes = { 'GET /free': { handler, config: optOut }, 'GET /': handler }
        await gated(framework, 'refuse', { routes }, async (app) => {
          const answer = await app.ask('/free')
          assert.equal(answer.status, 200)
          assert.equal(runs(), 1)
          await refusedEverywhere(app, ['/'])
        })
      },
    })
  }
  return checks
}
