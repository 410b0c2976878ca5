import assert from 'node:assert/strict'
import type { Check } from './check.js'
import { Chunks, COOKIES } from './expect.js'
import { type ReplayStand, STORABLE } from './replay-stand.js'

/** What must never be stored, or not be given to another client. */
export function exclusionChecks({ maxBytes, cached, counting, neverStored, optIn }: ReplayStand): Check[] {
  return [
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
  ]
}
