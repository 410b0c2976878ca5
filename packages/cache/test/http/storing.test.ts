import { FRAMEWORKS, latch, until } from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import { type Behind, behind, type HttpOptions, meeting, type Stand, statusOf } from './stand.js'

/** What may be stored, for whom, and what ends it: RFC 9111, and the mistakes that others made. */

const FRESH = { 'cache-control': 'max-age=60' }
const PUBLIC = { 'cache-control': 'public, max-age=60' }

describe.each(FRAMEWORKS)('%s', (framework) => {
  const app = (stand: Stand, work: (app: Behind) => Promise<void>) => behind(framework, stand, work)

  /** Each answer says which run of the handler made it. */
  const numbered = (headers: Readonly<Record<string, string | string[]>>, options: HttpOptions = {}) => ({
    reply: (run: number) => ({ headers, body: `run ${run}` }),
    options,
  })

  it.each(['authorization', 'cookie'])(
    'H1 the answer to a request with %s is neither stored nor replaced by a stored one',
    (credentials) =>
      app(numbered(FRESH), async ({ get }) => {
        const first = await get({ [credentials]: 'a=1' })
        expect(statusOf(first)).toBe('spillway; fwd=uri-miss; detail=credentials')
        expect((await get({ [credentials]: 'b=2' })).text).toBe('run 2')
        expect((await get()).text).toBe('run 3')
        expect(statusOf(await get())).toMatch(/^spillway; hit; ttl=/)
        expect((await get({ [credentials]: 'b=2' })).text).toBe('run 4')
      }),
  )

  it.each(['public, max-age=60', 's-maxage=60', 'must-revalidate, max-age=60'])(
    'H1 a response that says %s may be stored and given to everybody',
    (control) =>
      app(numbered({ 'cache-control': control }), async ({ get }) => {
        expect((await get({ authorization: 'Bearer a' })).text).toBe('run 1')
        expect((await get({ authorization: 'Bearer b' })).text).toBe('run 1')
        expect((await get()).text).toBe('run 1')
      }),
  )

  it('H1 a key that says who asks makes one cache per client', () =>
    app(numbered(FRESH, { key: ({ headers }) => headers.authorization }), async ({ get, runs }) => {
      for (const text of ['run 1', 'run 1']) expect((await get({ authorization: 'a' })).text).toBe(text)
      for (const text of ['run 2', 'run 2']) expect((await get({ authorization: 'b' })).text).toBe(text)
      expect((await get({ authorization: 'a' })).text).toBe('run 1')
      const nobody = await get()
      expect([nobody.text, statusOf(nobody)]).toEqual(['run 3', 'spillway; fwd=bypass'])
      expect(runs()).toBe(3)
    }))

  it('H2 Set-Cookie is not shared with those who wait, and they wait no second time', () => {
    const begun = latch()
    const finish = latch()
    const reply = async (run: number) => {
      begun.open()
      if (run === 1) await finish.promise
      return { headers: { ...PUBLIC, 'set-cookie': `id=${run}` }, body: `run ${run}` }
    }
    return app({ reply }, async ({ ask, cache, idle, get, runs }) => {
      const first = ask('/')
      await begun.promise
      const others = [1, 2, 3].map(() => ask('/'))
      await until(() => cache.stats().joins === 3, 'three wait')
      finish.open()
      const answers = await Promise.all([first, ...others])
      await idle()
      const cookies = answers.flatMap(({ headers }) => headers['set-cookie'])
      expect(cookies.toSorted()).toEqual(['id=1', 'id=2', 'id=3', 'id=4'])
      expect(
        answers.every(({ headers, text }) => text === `run ${headers['set-cookie']![0]!.slice(3)}`),
      ).toBe(true)
      expect(statusOf(await get())).toBe('spillway; fwd=uri-miss; detail=hit-for-miss')
      expect(runs()).toBe(5)
    })
  })

  it('H3 variants are told apart by what Vary names; absent equals absent', () =>
    app(
      {
        reply: (run, { headers }) => ({
          headers: { ...PUBLIC, vary: 'Accept-Language' },
          body: `${headers['accept-language'] ?? 'none'} ${run}`,
        }),
      },
      async ({ get, runs }) => {
        expect((await get({ 'accept-language': 'en' })).text).toBe('en 1')
        const french = await get({ 'accept-language': 'fr, de' })
        expect([french.text, statusOf(french)]).toEqual(['fr, de 2', 'spillway; fwd=vary-miss'])
        expect((await get({ 'accept-language': 'en' })).text).toBe('en 1')
        expect((await get({ 'accept-language': 'fr,de' })).text).toBe('fr, de 2')
        expect((await get()).text).toBe('none 3')
        expect((await get()).text).toBe('none 3')
        expect(runs()).toBe(3)
      },
    ))

  it('H3 Vary: * is never stored', () =>
    app(numbered({ ...PUBLIC, vary: '*' }), async ({ get }) => {
      expect(statusOf(await get())).toBe('spillway; fwd=uri-miss; detail=vary')
      expect((await get()).text).toBe('run 2')
    }))

  it('H3 variants of one URL are capped; one too many is served and not stored', () =>
    app(
      {
        reply: (run, { headers }) => ({
          headers: { ...PUBLIC, vary: 'x-kind' },
          body: `${headers['x-kind']} ${run}`,
        }),
        options: { maxVariants: 2 },
      },
      async ({ get, ask, idle }) => {
        const kinds = async () => {
          const answers = []
          for (const kind of ['a', 'b', 'c', 'a', 'b', 'c'])
            answers.push((await get({ 'x-kind': kind })).text)
          return answers
        }
        expect(await kinds()).toEqual(['a 1', 'b 2', 'c 3', 'a 1', 'b 2', 'c 4'])
        await ask('/', { method: 'POST', headers: { 'x-kind': 'post' } })
        await idle()
        // Whichever come first now: the old variants are gone, and do not count any more.
        expect((await get({ 'x-kind': 'c' })).text).toBe('c 6')
        expect((await get({ 'x-kind': 'c' })).text).toBe('c 6')
      },
    ))

  it('H4 a HEAD is answered from the stored GET and stores nothing itself', () =>
    app(numbered(PUBLIC), async ({ ask, get, idle, runs }) => {
      expect((await ask('/', { method: 'HEAD' })).body).toHaveLength(0)
      await idle()
      expect((await get()).text).toBe('run 2')
      const head = await ask('/', { method: 'HEAD' })
      expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5', 0])
      expect(statusOf(head)).toMatch(/^spillway; hit; ttl=\d+$/)
      expect(runs()).toBe(2)
    }))

  it('H4 the answer to a POST is not what a GET gets', () =>
    app(numbered(PUBLIC), async ({ ask, get, idle }) => {
      const posted = await ask('/', { method: 'POST', body: 'a=1' })
      await idle()
      expect([posted.text, statusOf(posted)]).toEqual(['run 1', 'spillway; fwd=method'])
      expect((await get()).text).toBe('run 2')
    }))

  it.each(['POST', 'PUT', 'PATCH', 'DELETE'])(
    'H4 a %s that succeeds invalidates the URI, for its next reader',
    (method) =>
      app(
        {
          reply: (run, { headers }) => ({
            status: Number(headers['x-status'] ?? 200),
            headers: { ...PUBLIC, vary: 'accept-language' },
            body: `run ${run}`,
          }),
        },
        async ({ ask, get, idle }) => {
          await get()
          await get({ 'accept-language': 'en' })
          await ask('/', { method, headers: { 'x-status': '422' } })
          await idle()
          expect((await get()).text).toBe('run 1')
          await ask('/', { method })
          // At once: the writer's own next read, without waiting for anything.
          expect((await ask('/')).text).toBe('run 5')
          await idle()
          expect((await get({ 'accept-language': 'en' })).text).toBe('run 6')
        },
      ),
  )

  it.each([
    ['location', '/other', true],
    ['content-location', '/other', true],
    ['location', 'http://elsewhere.example/other', false],
  ])('H4 a write with %s: %s invalidates that, too: %s', (name, target, invalid) =>
    app(
      { reply: (run) => ({ headers: { ...PUBLIC, [name]: target }, body: `run ${run}` }) },
      async (running) => {
        expect((await running.get({}, '/other')).text).toBe('run 1')
        await running.ask('/', { method: 'POST' })
        await running.idle()
        expect((await running.get({}, '/other')).text).toBe(invalid ? 'run 3' : 'run 1')
      },
    ),
  )

  it.each([
    ['no-store', 200, { 'cache-control': 'no-store, max-age=60' }],
    ['private', 200, { 'cache-control': 'private, max-age=60' }],
    ['no-cache', 200, { 'cache-control': 'no-cache, max-age=60' }],
    ['status', 500, PUBLIC],
    ['status', 503, PUBLIC],
    ['status', 206, { ...PUBLIC, 'content-range': 'bytes 0-4/10' }],
    ['not-fresh', 200, {}],
    ['not-fresh', 200, { expires: '0' }],
  ])('H8 not stored: %s (%i)', (detail, status, headers) =>
    app({ reply: (run) => ({ status, headers, body: `run ${run}` }) }, async ({ get }) => {
      const first = await get()
      expect([first.status, statusOf(first)]).toEqual([status, `spillway; fwd=uri-miss; detail=${detail}`])
      expect((await get()).text).toBe('run 2')
    }),
  )

  it('H8 a request that says no-store leaves nothing behind', () =>
    app(numbered(PUBLIC), async ({ get }) => {
      expect(statusOf(await get({ 'cache-control': 'no-store' }))).toBe('spillway; fwd=request')
      expect((await get()).text).toBe('run 2')
    }))

  it('H8 hosts are kept apart, whatever names them', () =>
    app(numbered(PUBLIC), async ({ get }) => {
      expect((await get({ host: 'a.example' })).text).toBe('run 1')
      expect((await get({ host: 'b.example' })).text).toBe('run 2')
      expect((await get({ host: 'a.example', 'x-forwarded-host': 'evil.example' })).text).toBe('run 3')
      expect((await get({ host: 'a.example', 'x-forwarded-proto': 'https' })).text).toBe('run 4')
      expect((await get({ host: 'A.example' })).text).toBe('run 1')
      expect((await get({ host: 'b.example' })).text).toBe('run 2')
    }))

  it('H8 a key of the user does not let hosts share', () =>
    app(numbered(PUBLIC, { key: () => 'all' }), async ({ get }) => {
      expect((await get({ host: 'a.example' })).text).toBe('run 1')
      expect((await get({ host: 'b.example' })).text).toBe('run 2')
      expect((await get({ host: 'a.example', 'x-forwarded-host': 'evil.example' })).text).toBe('run 3')
      expect((await get({ host: 'a.example' })).text).toBe('run 1')
    }))

  it('H12 fifty at once run the handler once', () => {
    const finish = latch()
    const reply = async (run: number) => {
      await finish.promise
      return { headers: PUBLIC, body: `run ${run}` }
    }
    return app({ reply }, async ({ ask, cache, idle, runs }) => {
      const asked = Array.from({ length: 50 }, () => ask('/'))
      await until(() => cache.stats().joins === 49, 'forty-nine wait')
      finish.open()
      const answers = await Promise.all(asked)
      await idle()
      expect(answers.map(({ text }) => text)).toEqual(asked.map(() => 'run 1'))
      expect(runs()).toBe(1)
      const told = answers.map(statusOf)
      expect(told.filter((text) => text === 'spillway; fwd=uri-miss')).toHaveLength(1)
      expect(told.filter((text) => text === 'spillway; fwd=uri-miss; collapsed')).toHaveLength(49)
    })
  })

  it('H12 fifty at once for what cannot be stored do not queue behind one another', () => {
    const finish = latch()
    const others = meeting(49)
    const later = meeting(50)
    // Whoever would wait for another's end would wait for ever.
    const reply = async (run: number) => {
      await (run === 1 ? finish.promise : run <= 50 ? others() : later())
      return { headers: { 'cache-control': 'no-store' }, body: `run ${run}` }
    }
    return app({ reply }, async ({ ask, cache, idle, runs }) => {
      const asked = Array.from({ length: 50 }, () => ask('/'))
      await until(() => cache.stats().joins === 49, 'forty-nine wait')
      finish.open()
      expect(new Set((await Promise.all(asked)).map(({ text }) => text)).size).toBe(50)
      await idle()
      await Promise.all(Array.from({ length: 50 }, () => ask('/')))
      expect(runs()).toBe(100)
    })
  })
})
