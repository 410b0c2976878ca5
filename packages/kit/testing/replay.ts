import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { withoutLeak } from './census.js'
import { type Check, suite } from './check.js'
import { type Answer, visit } from './client.js'
import { BINARY, Chunks, COOKIES, sameHeaders } from './expect.js'
import {
  type Framework,
  type Handler,
  type Mounts,
  REGISTRATIONS,
  type Reply,
  type RunningApp,
  type Site,
  serving,
} from './frameworks.js'
import { latch, until, within, withoutUnhandled } from './waiting.js'

export type ReplayMode =
  /** The store works. */
  | 'work'
  /** Every call to the store fails. */
  | 'fail'

export interface ReplaySubject extends Mounts {
  /** Called after the app has been closed. */
  close?(): unknown
}

export interface ReplaySpec {
  /** The cap, in bytes, on a stored body that `setup` configures. */
  readonly maxBytes: number
  /** Makes what one check mounts on one app. */
  setup(mode: ReplayMode): ReplaySubject | Promise<ReplaySubject>
  /** Fastify route config of the routes that are cached. Default: none needed. */
  readonly optIn?: object
  /** Fastify route config of a route that is not cached. Default: not checked. */
  readonly optOut?: object
}

/** What a cache may add to an answer, or has to change. */
const CACHE_HEADERS = ['age', 'cache-status', 'content-length', 'etag', 'last-modified', 'vary', 'x-cache']

/** Makes a response storable by the rules of RFC 9111, whatever the cache's defaults. */
const STORABLE = { 'cache-control': 'public, max-age=60' }

/** Tests a replay adapter on every framework. See the README beside this file. */
export function replaySuite(name: string, spec: ReplaySpec): void {
  suite(name, replayChecks(spec))
}

export function replayChecks(spec: ReplaySpec): readonly Check[] {
  const { maxBytes, optIn, optOut } = spec

  async function cached(
    framework: Framework,
    site: Omit<Site, 'mounts'>,
    work: (app: RunningApp) => Promise<void>,
    mode: ReplayMode = 'work',
  ): Promise<void> {
    const subject = await spec.setup(mode)
    try {
      await withoutUnhandled(() => serving(framework, { ...site, mounts: subject }, work))
    } finally {
      await subject.close?.()
    }
  }

  /** One route, `GET /`, that counts its runs. */
  function counting(reply: (run: number) => Reply | Promise<Reply>) {
    let runs = 0
    const handler: Handler = () => reply(++runs)
    const route = { handler, config: optIn }
    const site: Site = { routes: { 'GET /': route, 'POST /': route }, ownErrorHandler: true }
    return { site, handler, runs: () => runs }
  }

  /** Asks until the answer comes from the store: storing may go on after the answer was sent. */
  async function stored(app: RunningApp, runs: () => number, path = '/'): Promise<Answer> {
    let answer: Answer | undefined
    await until(async () => {
      const before = runs()
      answer = await app.ask(path)
      await app.idle()
      return runs() === before
    }, 'an answer comes from the store')
    return answer!
  }

  async function replays(framework: Framework, reply: Reply): Promise<void> {
    const { site, runs } = counting(() => reply)
    await serving(framework, site, (bareApp) =>
      cached(framework, site, async (app) => {
        const bare = await bareApp.ask('/')
        const before = runs()
        const first = await app.ask('/')
        assert.equal(runs(), before + 1, 'the handler ran for the first request')
        assert.equal(first.status, bare.status)
        assert.deepEqual(first.body, bare.body, 'first body')
        sameHeaders(first.headers, bare.headers, CACHE_HEADERS)
        const again = await stored(app, runs)
        assert.equal(again.status, bare.status)
        assert.deepEqual(again.body, bare.body, 'replayed body')
        sameHeaders(again.headers, bare.headers, CACHE_HEADERS)
        sameValidators(again.headers, first.headers)
        assert.deepEqual(app.errors, [])
      }),
    )
  }

  async function neverStored(
    framework: Framework,
    reply: (run: number) => Reply,
    status = 200,
  ): Promise<void> {
    const { site, runs } = counting(reply)
    await cached(framework, site, async (app) => {
      for (let run = 1; run <= 3; run++) {
        const answer = await app.ask('/')
        await app.idle()
        assert.equal(answer.status, status)
        assert.equal(runs(), run, 'runs of the handler')
      }
    })
  }

  const checks: Check[] = [
    {
      title: 'replays text: status, headers and body as the handler gave them',
      run: (framework) =>
        replays(framework, {
          headers: {
            ...STORABLE,
            etag: '"v1"',
            'x-own': 'kept',
            'content-type': 'text/plain; charset=utf-8',
          },
          body: 'grüße',
        }),
    },
    {
      title: 'replays bytes as bytes',
      run: (framework) =>
        replays(framework, {
          headers: { ...STORABLE, 'content-type': 'application/octet-stream' },
          body: BINARY.subarray(-Math.min(BINARY.length, maxBytes)),
        }),
    },
    {
      title: 'answers HEAD from the stored GET, and never stores the empty body of a HEAD',
      run: async (framework) => {
        const { site, runs } = counting(() => ({ headers: { ...STORABLE, 'x-own': 'kept' }, body: 'text' }))
        await cached(framework, site, async (app) => {
          await app.ask('/', { method: 'HEAD' })
          await app.idle()
          assert.equal((await app.ask('/')).text, 'text', 'GET after HEAD')
          assert.equal((await stored(app, runs)).text, 'text', 'stored GET')
          const head = await app.ask('/', { method: 'HEAD' })
          assert.equal(head.status, 200)
          assert.equal(head.headers['x-own'], 'kept')
          assert.equal(head.body.length, 0)
          const length = head.headers['content-length']
          assert.ok(length === undefined || length === '4', `content-length ${length} of a HEAD`)
        })
      },
    },
    {
      title: 'answers 304 to a client that has the stored version, and 200 to one that has another',
      run: async (framework) => {
        const { site, runs } = counting(() => ({ headers: { ...STORABLE, etag: '"v1"' }, body: 'text' }))
        await cached(framework, site, async (app) => {
          await stored(app, runs)
          const before = runs()
          const same = await app.ask('/', { headers: { 'if-none-match': '"v1"' } })
          assert.equal(same.status, 304)
          assert.equal(same.body.length, 0)
          assert.equal(same.headers.etag, '"v1"')
          const other = await app.ask('/', { headers: { 'if-none-match': '"v0"' } })
          assert.equal(other.status, 200)
          assert.equal(other.text, 'text')
          assert.equal(runs(), before, 'the handler ran')
        })
      },
    },
    {
      title: 'a 304 to the first client is never what others get',
      run: async (framework) => {
        const { site } = counting(() => ({ headers: { ...STORABLE, etag: '"v1"' }, body: 'text' }))
        await cached(framework, site, async (app) => {
          await app.ask('/', { headers: { 'if-none-match': '"v1"' } })
          await app.idle()
          for (let i = 0; i < 3; i++) {
            const answer = await app.ask('/')
            assert.equal(answer.status, 200)
            assert.equal(answer.text, 'text')
            await app.idle()
          }
        })
      },
    },
    {
      title: 'several Set-Cookie headers reach their client, and nobody else',
      run: async (framework) => {
        const { site } = counting((run) => ({
          headers: { ...STORABLE, 'set-cookie': [`id=${run}; Path=/`, COOKIES[1]] },
          body: 'text',
        }))
        await cached(framework, site, async (app) => {
          const seen: string[] = []
          for (let i = 0; i < 3; i++) {
            const { headers } = await app.ask('/')
            await app.idle()
            const cookies = headers['set-cookie'] ?? []
            if (i === 0) assert.equal(cookies.length, 2, 'cookies of the first client')
            const id = cookies.find((cookie) => cookie.startsWith('id='))
            if (id !== undefined) seen.push(id)
          }
          assert.equal(new Set(seen).size, seen.length, `a cookie was given twice: ${seen}`)
        })
      },
    },
    {
      title: 'leaves a stream a stream: each chunk arrives when it is written',
      run: async (framework) => {
        const chunks = new Chunks(['one ', 'two ', 'three'], STORABLE)
        const site = { routes: { 'GET /': { handler: chunks.handler, config: optIn } } }
        await cached(framework, site, async (app) => {
          try {
            await chunks.arriveOneByOne(await app.open('/'))
          } finally {
            chunks.releaseAll()
          }
          await app.idle()
          assert.equal((await app.ask('/')).text, 'one two three', 'the next answer')
        })
      },
    },
    {
      title: 'never stores the part of a body that a client saw before it left',
      run: async (framework) => {
        const chunks = new Chunks(['one ', 'two ', 'three'], STORABLE)
        const site = { routes: { 'GET /': { handler: chunks.handler, config: optIn } } }
        await cached(framework, site, async (app) => {
          try {
            const response = await app.open('/')
            response.on('error', () => {})
            response.destroy()
            await app.idle() // the server has seen it leave
          } finally {
            chunks.releaseAll()
          }
          await app.idle()
          for (let i = 0; i < 2; i++) {
            assert.equal((await app.ask('/')).text, 'one two three')
            await app.idle()
          }
        })
      },
    },
    {
      title: 'does not store a body over the cap, and sends it in full',
      run: async (framework) => {
        const body = 'x'.repeat(maxBytes + 1)
        await neverStored(framework, () => ({ headers: STORABLE, body }))
        const { site } = counting(() => ({ headers: STORABLE, body }))
        await cached(framework, site, async (app) => assert.equal((await app.ask('/')).text, body))
      },
    },
    {
      title: 'does not store a stream over the cap, and sends it in full',
      run: async (framework) => {
        const half = 'x'.repeat(Math.ceil(maxBytes / 2) + 1)
        const chunks = new Chunks([half, half], STORABLE)
        chunks.releaseAll()
        const site = { routes: { 'GET /': { handler: chunks.handler, config: optIn } } }
        await cached(framework, site, async (app) => {
          for (let run = 1; run <= 2; run++) {
            assert.equal((await app.ask('/')).text, half + half)
            await app.idle()
            assert.equal(chunks.begun, run)
          }
        })
      },
    },
    {
      title: 'stores a body of just the cap',
      run: async (framework) => {
        const body = 'x'.repeat(maxBytes)
        const { site, runs } = counting(() => ({ headers: STORABLE, body }))
        await cached(framework, site, async (app) => assert.equal((await stored(app, runs)).text, body))
      },
    },
    {
      title: 'does not store what says no-store or private, nor an error',
      run: async (framework) => {
        await neverStored(framework, () => ({ headers: { 'cache-control': 'no-store' } }))
        await neverStored(framework, () => ({ headers: { 'cache-control': 'private, max-age=60' } }))
        await neverStored(framework, () => ({ status: 500, headers: { 'cache-control': 'max-age=60' } }), 500)
      },
    },
    {
      title: "leaves the route's own error to the error handler, every time",
      run: async (framework) => {
        const mistake = Object.assign(new Error('mistake'), { code: 'E_OWN', status: 418 })
        const { site } = counting(() => Promise.reject(mistake))
        await cached(framework, site, async (app) => {
          for (let i = 0; i < 2; i++) {
            const answer = await app.ask('/')
            assert.equal(answer.status, 418)
            assert.deepEqual(JSON.parse(answer.text), { problem: 'E_OWN' })
            await app.idle()
          }
          assert.deepEqual(app.errors, [mistake, mistake])
        })
      },
    },
    {
      title: 'does not store the answer to a POST, nor give it to a GET',
      run: async (framework) => {
        const { site, runs } = counting((run) => ({ headers: STORABLE, body: `run ${run}` }))
        await cached(framework, site, async (app) => {
          for (const run of [1, 2]) {
            const answer = await app.ask('/', { method: 'POST', body: 'a=1' })
            await app.idle()
            assert.equal(answer.text, `run ${run}`)
          }
          assert.equal((await app.ask('/')).text, 'run 3')
          assert.equal(runs(), 3)
        })
      },
    },
    {
      title: 'many clients at once all get the whole answer, before it is stored and after',
      run: async (framework) => {
        const { site, runs } = counting(() => ({ headers: STORABLE, body: 'text' }))
        await cached(framework, site, async (app) => {
          for (let round = 0; round < 2; round++) {
            for (const answer of await Promise.all(Array.from({ length: 20 }, () => app.ask('/')))) {
              assert.equal(answer.status, 200)
              assert.equal(answer.text, 'text')
            }
            await stored(app, runs)
          }
          assert.deepEqual(app.errors, [])
        })
      },
    },
    {
      title: 'clients that leave while the answer is made do no harm to the next',
      run: async (framework) => {
        const begun = latch()
        const finish = latch()
        const { site } = counting(async () => {
          begun.open()
          await finish.promise
          return { headers: STORABLE, body: 'text' }
        })
        await cached(framework, site, async (app) => {
          const clients = Array.from({ length: 5 }, () => visit(`${app.origin}/`))
          try {
            await within(begun.promise, 'the handler runs')
            for (const client of clients) client.destroy()
          } finally {
            finish.open()
          }
          await app.idle()
          assert.equal((await app.ask('/')).text, 'text')
        })
      },
    },
    {
      title: 'serves normally while the store fails',
      run: async (framework) => {
        const { site } = counting(() => ({ headers: { ...STORABLE, 'x-own': 'kept' }, body: 'text' }))
        await cached(
          framework,
          site,
          async (app) => {
            for (let i = 0; i < 3; i++) {
              const answer = await app.ask('/')
              assert.equal(answer.status, 200)
              assert.equal(answer.text, 'text')
              assert.equal(answer.headers['x-own'], 'kept')
              await app.idle()
            }
            assert.deepEqual(app.errors, [])
          },
          'fail',
        )
      },
    },
    {
      title: 'nothing keeps the process alive after the app is closed',
      run: (framework) =>
        withoutLeak(async () => {
          const { site, runs } = counting(() => ({ headers: STORABLE, body: 'text' }))
          await cached(framework, site, async (app) => {
            await stored(app, runs)
          })
        }),
    },
  ]

  for (const registration of REGISTRATIONS) {
    checks.push({
      title: `Fastify: caches its scope when registered ${registration}`,
      only: 'fastify5',
      run: async (framework) => {
        const inside = counting(() => ({ headers: STORABLE, body: 'text' }))
        const outside = counting(() => ({ headers: STORABLE, body: 'text' }))
        const site: Site = {
          ...inside.site,
          registration,
          outside: { 'GET /outside': { handler: outside.handler, config: optIn } },
        }
        await cached(framework, site, async (app) => {
          assert.equal((await stored(app, inside.runs)).text, 'text')
          if (registration !== 'encapsulated') return
          for (let run = 1; run <= 2; run++) {
            assert.equal((await app.ask('/outside')).text, 'text')
            await app.idle()
            assert.equal(outside.runs(), run, 'runs outside')
          }
        })
      },
    })
  }

  if (optOut !== undefined) {
    checks.push({
      title: 'Fastify: a route opts out by its config',
      only: 'fastify5',
      run: async (framework) => {
        const { handler, runs } = counting(() => ({ headers: STORABLE, body: 'text' }))
        await cached(framework, { routes: { 'GET /': { handler, config: optOut } } }, async (app) => {
          for (let run = 1; run <= 2; run++) {
            await app.ask('/')
            await app.idle()
            assert.equal(runs(), run)
          }
        })
      },
    })
  }
  return checks
}

/** What the client was told to remember the first answer by still stands. */
function sameValidators(again: IncomingHttpHeaders, first: IncomingHttpHeaders): void {
  if (first.etag !== undefined) assert.equal(again.etag, first.etag, 'etag')
  if (first['last-modified'] !== undefined) assert.equal(again['last-modified'], first['last-modified'])
}
