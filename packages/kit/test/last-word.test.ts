import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import express5, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import express4 from 'express4'
import { describe, expect, it } from 'vitest'
import { haveLastWord, type OnRefused, refusalOptions, refuse } from '../src/express.js'
import { RejectedError, responseSignal } from '../src/index.js'
import { ask, latch, until, visit, within } from '../testing/index.js'
import { printedDuring } from '../testing/stderr.js'

const full = () =>
  new RejectedError('full', { code: 'ERR_TEST_FULL', status: 503, headers: { 'Retry-After': '7' } })
const gate =
  (onRefused?: OnRefused): RequestHandler =>
  (_req, res, next) =>
    refuse(full(), res, next, onRefused)

async function serving<T>(listener: RequestListener, work: (origin: string) => Promise<T>): Promise<T> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.close()
  }
}

/** What an app answers to a request, and what is printed. */
async function visited(app: Express, path = '/', headers: Record<string, string> = {}) {
  let answer: Awaited<ReturnType<typeof ask>> | undefined
  const printed = await printedDuring(() =>
    serving(app, async (origin) => {
      answer = await ask(origin + path, { headers })
    }),
  )
  const { status, text } = answer!
  return {
    status,
    text,
    wait: answer!.headers['retry-after'],
    type: answer!.headers['content-type'],
    printed,
  }
}

const quiet = { status: 503, text: 'full\n', wait: '7', type: 'text/plain; charset=utf-8', printed: '' }

describe.each([
  ['express4', express4],
  ['express5', express5],
])('L52 the last word on %s', (_name, express) => {
  const made = () => {
    const app = express() as Express
    app.set('env', 'production')
    return app
  }
  /** An error handler of the app, which answers or passes on. */
  const own = (seen: unknown[], passesOn = false): ErrorRequestHandler => {
    return (error, _req, res, next) => {
      seen.push(error)
      if (passesOn) next(error)
      else res.status(error.status).json({ own: error.code })
    }
  }

  it('is ours when the app has no error handler: also in a mounted app and in a router', async () => {
    for (const mount of ['app', 'sub-app', 'deep', 'router', 'route'] as const) {
      const app = made()
      if (mount === 'app') app.use(gate())
      if (mount === 'sub-app') app.use('/x', made().use(gate()))
      if (mount === 'deep') app.use('/x', made().use('/y', made().use(gate())))
      if (mount === 'router') app.use('/x', express.Router().use(gate()))
      if (mount === 'route') app.get('/x/y', gate())
      app.use((_req, res) => res.status(404).send('not found'))
      expect(await visited(app, mount === 'app' ? '/' : '/x/y'), mount).toEqual(quiet)
    }
  })

  it("is the app's when it has an error handler, wherever that stands behind the gate", async () => {
    for (const where of ['app', 'outer', 'router', 'path'] as const) {
      const seen: unknown[] = []
      const app = made()
      const inner = made().use(gate())
      const router = express.Router().use(gate())
      if (where === 'app') app.use(gate()).use(own(seen))
      if (where === 'outer') app.use('/x', inner).use(own(seen))
      if (where === 'router') app.use('/x', router.use(own(seen)))
      if (where === 'path') app.use(gate()).use('/x', own(seen))
      const answer = await visited(app, '/x')
      expect(answer, where).toMatchObject({
        status: 503,
        text: '{"own":"ERR_TEST_FULL"}',
        wait: '7',
        printed: '',
      })
      expect(seen, where).toHaveLength(1)
    }
  })

  it('is ours when the error handler stands elsewhere, or passes the refusal on as a tracker of errors does', async () => {
    const seen: unknown[] = []
    expect(await visited(made().use('/x', own(seen)).use(gate()), '/')).toEqual(quiet)
    expect(await visited(made().use(gate()).use('/other', own(seen)), '/')).toEqual(quiet)
    expect(seen).toHaveLength(0)
    expect(await visited(made().use(gate()).use(own(seen, true)))).toEqual(quiet)
    expect(seen).toHaveLength(1)
  })

  it('an error handler that is added after the first refusal still comes first; ours is added no more often than that', async () => {
    const seen: unknown[] = []
    const app = made().use(gate())
    const layers = () =>
      (((app as { _router?: unknown })._router ?? app.router) as { stack: unknown[] }).stack.length
    await serving(app, async (origin) => {
      await ask(origin)
      const first = layers()
      await Promise.all(Array.from({ length: 20 }, () => ask(origin)))
      app.get('/another', (_req, res) => res.send('x'))
      await ask(origin)
      expect(layers(), 'a route changes nothing').toBe(first + 1)
      app.use(own(seen))
      expect((await ask(origin)).text).toBe('{"own":"ERR_TEST_FULL"}')
      await Promise.all(Array.from({ length: 20 }, () => ask(origin)))
      expect(layers()).toBe(first + 3)
    })
    expect(seen).toHaveLength(21)
  })

  it("leaves every other error to Express's own handler", async () => {
    const app = made().use(gate('next')) // the last word is not had because of this one
    app.use((_req, res) => void res)
    expect((await visited(app)).printed).toContain('full')
    const mixed = made()
    mixed.get('/mistake', () => {
      throw Object.assign(new Error('mistake'), { status: 418 })
    })
    mixed.use(gate())
    await visited(mixed)
    const { status, printed, type } = await visited(mixed, '/mistake')
    expect({ status, type }).toEqual({ status: 418, type: 'text/html; charset=utf-8' })
    expect(printed).toContain('Error: mistake')
  })

  it('by option: always ours, past the error handler of the app', async () => {
    const seen: unknown[] = []
    expect(await visited(made().use(gate('answer')).use(own(seen)))).toEqual(quiet)
    expect(seen).toEqual([])
  })

  it('answers in the form that the client prefers', async () => {
    const app = made().use(gate())
    const problem = {
      type: 'about:blank',
      title: 'Service Unavailable',
      status: 503,
      detail: 'full',
      code: 'ERR_TEST_FULL',
    }
    for (const accept of [
      'application/json',
      'application/problem+json',
      'application/json, text/plain, */*',
      'text/html;q=0.5, application/vnd.api+json',
    ]) {
      const { type, text } = await visited(app, '/', { accept })
      expect(type, accept).toBe('application/problem+json; charset=utf-8')
      expect(JSON.parse(text)).toEqual(problem)
    }
    for (const accept of [
      '*/*',
      '',
      'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
      'text/plain, application/json;q=0.9',
      'application/json;q=0',
      'application/json;q=x',
      ','.repeat(8_000),
    ]) {
      expect((await visited(app, '/', { accept })).type, accept.slice(0, 40)).toBe(
        'text/plain; charset=utf-8',
      )
    }
  })

  it('shows no message that is not for the client', async () => {
    const app = made().use((_req, res, next) =>
      refuse(
        new RejectedError('db-1 is down', { code: 'ERR_TEST_DOWN', status: 503, expose: false }),
        res,
        next,
      ),
    )
    expect((await visited(app)).text).toBe('Service Unavailable\n')
    expect(JSON.parse((await visited(app, '/', { accept: 'application/json' })).text).detail).toBe(
      'Service Unavailable',
    )
  })

  it('B52 drops what tells only that this client has left, and nothing that another client has', async () => {
    const begun = latch()
    const left = latch<unknown>()
    const app = made()
    app.get('/slow', (req, res, next) => {
      haveLastWord(req)
      const signal = responseSignal(res)
      signal.addEventListener('abort', () => {
        left.open(signal.reason)
        next(signal.reason)
      })
      begun.open()
    })
    app.get('/shares', (_req, _res, next) => void left.promise.then(next))
    const printed = await printedDuring(() =>
      serving(app, async (origin) => {
        const slow = visit(`${origin}/slow`)
        const sharing = ask(`${origin}/shares`)
        await within(begun.promise, 'the slow one begins')
        slow.destroy()
        expect((await sharing).status).toBe(499)
      }),
    )
    await until(() => true, 'settled')
    expect(printed.trim().split('\n')).toEqual(['AbortError: The client went away before it was answered'])
  })
})

describe('without Express', () => {
  it('goes to next, which is told everything', async () => {
    const seen: unknown[] = []
    await serving(
      (_req, res) => {
        refuse(full(), res, (error) => {
          seen.push(error)
          res.statusCode = 503
          res.end('own')
        })
      },
      async (origin) => {
        const { text, headers } = await ask(origin)
        expect([text, headers['retry-after']]).toEqual(['own', '7'])
      },
    )
    expect(seen).toMatchObject([{ code: 'ERR_TEST_FULL' }])
  })

  it('is answered by option', async () => {
    await serving(
      (_req, res) => refuse(full(), res, () => {}, 'answer'),
      async (origin) => expect((await ask(origin)).text).toBe('full\n'),
    )
  })
})

describe('refusalOptions', () => {
  it('takes its own option out and leaves the others', () => {
    expect(refusalOptions('test', 'gate', { a: 1 })).toEqual(['auto', { a: 1 }])
    expect(refusalOptions('test', 'gate', { a: 1, onRefused: 'answer' })).toEqual(['answer', { a: 1 }])
  })

  it('says what is allowed', () => {
    expect(() => refusalOptions('test', 'gate', { onRefused: 'throw' as 'next' })).toThrow(
      "gate option \"onRefused\" must be 'auto' or 'answer' or 'next', not 'throw'",
    )
  })
})
