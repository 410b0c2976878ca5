import { once } from 'node:events'
import { type ClientRequest, get, request } from 'node:http'
import { FRAMEWORKS, serving } from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import { adaptiveLimit } from '../../src/concurrency/adaptive-limit.js'
import { ConcurrencyLimiter } from '../../src/concurrency/concurrency.js'
import { limitConcurrency as express } from '../../src/express.js'
import { limitConcurrency as fastify } from '../../src/fastify.js'
import { limitConcurrency as koa } from '../../src/koa.js'

const ATTACKER = '127.0.0.2'
const OTHER = '127.0.0.3'

type Options = { limit: number; perKey?: number | false; queue?: number }

function mountsOf(options: Options) {
  return {
    express: (app: any) => app.use(express(options)),
    fastify: (app: any) => app.register(fastify, options),
    koa: (app: any) => app.use(koa(options)),
  }
}

/** A body that was announced and does not come; told when it was refused. */
function slowBody(origin: string, clients: ClientRequest[]): Promise<number | 'held'> {
  const sent: ClientRequest = request(`${origin}/`, {
    method: 'POST',
    localAddress: ATTACKER,
    agent: false,
    headers: { 'Content-Length': 1_000, 'Content-Type': 'text/plain' },
  })
  sent.on('error', () => {})
  clients.push(sent)
  sent.write('x')
  const answered = once(sent, 'response').then(
    ([response]) => (response as { statusCode: number }).statusCode,
  )
  return answered.catch(() => 'held' as const)
}

function statusOf(origin: string, localAddress: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(`${origin}/`, { localAddress, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}

const routes = {
  'GET /': () => ({}),
  // As a handler that reads the whole body first, which never comes.
  'POST /': () => new Promise<never>(() => {}),
}

describe.each(FRAMEWORKS)('S13 slow bodies of one client on %s', (framework) => {
  it('S13 hold their share of the places, and other clients get in', async () => {
    await serving(
      framework,
      { routes, mounts: mountsOf({ limit: 20 }), ownErrorHandler: true },
      async (app) => {
        const clients: ClientRequest[] = []
        const sent = Array.from({ length: 20 }, () => slowBody(app.origin, clients))
        // Half of them are refused; the others hold their places.
        let refused = 0
        await new Promise<void>((resolve) => {
          for (const each of sent) void each.then((status) => status === 503 && ++refused === 10 && resolve())
        })
        expect(await statusOf(app.origin, ATTACKER)).toBe(503)
        expect(await Promise.all(Array.from({ length: 10 }, () => statusOf(app.origin, OTHER)))).toEqual(
          Array(10).fill(200),
        )
        for (const client of clients) client.destroy()
      },
    )
  })
})

describe('S13 the share of a client', () => {
  it('S13 is rounded up, and is that of the limit as it is now', () => {
    expect(new ConcurrencyLimiter({ limit: 1, perKey: 0.5 }).perKey).toBe(1)
    expect(new ConcurrencyLimiter({ limit: 5, perKey: 0.5 }).perKey).toBe(3)
    const adaptive = adaptiveLimit({ initial: 40 })
    expect(new ConcurrencyLimiter({ limit: adaptive, perKey: 0.25 }).perKey).toBe(10)
  })

  it('S13 can be switched off, set as a number, and is checked', () => {
    expect(new ConcurrencyLimiter({ limit: 20 }).perKey).toBeUndefined()
    expect(new ConcurrencyLimiter({ limit: 20, perKey: false }).perKey).toBeUndefined()
    expect(new ConcurrencyLimiter({ limit: 20, perKey: 7 }).perKey).toBe(7)
    for (const perKey of [0, -1, 1.5, Number.NaN]) {
      expect(() => new ConcurrencyLimiter({ limit: 20, perKey })).toThrow(/perKey/)
    }
  })
})
