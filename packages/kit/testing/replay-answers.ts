import assert from 'node:assert/strict'
import { withoutLeak } from './census.js'
import type { Check } from './check.js'
import { BINARY, Chunks } from './expect.js'
import { type ReplayStand, STORABLE } from './replay-stand.js'
import { latch, within } from './waiting.js'

/** What clients get from a cache. */
export function answerChecks({ maxBytes, cached, counting, stored, replays, optIn }: ReplayStand): Check[] {
  return [
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
      title: 'stores a body of just the cap',
      run: async (framework) => {
        const body = 'x'.repeat(maxBytes)
        const { site, runs } = counting(() => ({ headers: STORABLE, body }))
        await cached(framework, site, async (app) => assert.equal((await stored(app, runs)).text, body))
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
          const clients = Array.from({ length: 5 }, () => app.visit('/'))
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
}
