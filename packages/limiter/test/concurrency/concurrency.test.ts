import {
  FakeClock,
  FRAMEWORKS,
  gateSuite,
  latch,
  type Mounts,
  serving,
  until,
  visit,
} from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import { limitConcurrency as express } from '../../src/express.js'
import { limitConcurrency as fastify } from '../../src/fastify.js'
import { adaptiveLimit, ConcurrencyLimiter } from '../../src/index.js'
import { limitConcurrency as koa } from '../../src/koa.js'

gateSuite('limitConcurrency', {
  setup(mode) {
    const limiter = new ConcurrencyLimiter({ limit: mode === 'refuse' ? 1 : 100 })
    if (mode === 'refuse') limiter.tryAcquire()
    return mountsOf(limiter)
  },
  refusal: { status: 503, code: 'ERR_LIMITER_CONCURRENCY', headers: ['retry-after'] },
  optOut: { limitConcurrency: false },
})

function mountsOf(limiter: ConcurrencyLimiter): Mounts {
  return {
    express: (app) => app.use(express({ limiter })),
    fastify: (app) => app.register(fastify, { limiter }),
    koa: (app) => app.use(koa({ limiter })),
  }
}

describe.each(FRAMEWORKS)('limitConcurrency on %s', (framework) => {
  it('gives the place back when the response is sent, when it fails, and when the client leaves', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 1, queue: 1, maxWait: '20s' })
    const held = latch()
    const routes = {
      'GET /': () => ({}),
      'GET /fail': () => Promise.reject(new Error('fails')),
      'GET /slow': () => held.promise.then(() => ({})),
    }
    await serving(framework, { routes, mounts: mountsOf(limiter), ownErrorHandler: true }, async (app) => {
      await app.ask('/')
      await app.ask('/fail')
      await until(() => limiter.stats().inFlight === 0, 'both places are free')
      const slow = visit(`${app.origin}/slow`)
      await until(() => limiter.stats().inFlight === 1, 'the slow one is in flight')
      const next = app.ask('/')
      await until(() => limiter.stats().waiting === 1, 'the next one waits')
      expect((await app.ask('/')).status).toBe(503)
      slow.destroy()
      expect((await next).status).toBe(200)
      held.open()
      await app.idle()
      expect(limiter.stats()).toMatchObject({ inFlight: 0, waiting: 0, admitted: 4, refused: 1 })
    })
  })

  it('drops a waiting request whose client leaves', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 1, queue: 5, maxWait: '20s' })
    const permit = limiter.tryAcquire()!
    await serving(framework, { routes: { 'GET /': () => ({}) }, mounts: mountsOf(limiter) }, async (app) => {
      const gone = visit(`${app.origin}/`)
      await until(() => limiter.stats().waiting === 1, 'it waits')
      gone.destroy()
      await until(() => limiter.stats().waiting === 0, 'it is forgotten')
      permit.release()
      expect((await app.ask('/')).status).toBe(200)
      await app.idle()
    })
    expect(limiter.stats()).toMatchObject({ inFlight: 0, admitted: 2 })
  })
})

describe('ConcurrencyLimiter', () => {
  it('never has more in flight than it may, and serves in order', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 3, queue: 100 })
    let [now, most] = [0, 0]
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        limiter.run(async () => {
          order.push(i)
          most = Math.max(most, ++now)
          await new Promise((resolve) => setImmediate(resolve))
          now--
        }),
      ),
    )
    expect(most).toBe(3)
    expect(order).toEqual(Array.from({ length: 30 }, (_, i) => i))
    expect(limiter.stats()).toMatchObject({ inFlight: 0, keys: 0, admitted: 30, refused: 0 })
  })

  it('limits each key, and a key at its limit blocks no other', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 10, perKey: 1, queue: 10 })
    const first = await limiter.acquire({ key: 'a' })
    const second = limiter.acquire({ key: 'a' })
    const other = await limiter.acquire({ key: 'b' })
    expect(limiter.stats()).toMatchObject({ inFlight: 2, waiting: 1, keys: 2 })
    first.release()
    first.release()
    const late = await second
    expect(limiter.stats()).toMatchObject({ inFlight: 2, waiting: 0 })
    late.release()
    other.release()
    expect(limiter.stats()).toMatchObject({ inFlight: 0, keys: 0 })
  })

  it('refuses a call when the queue is full, and a call that waits too long', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 1, queue: 1, maxWait: '20ms' })
    limiter.tryAcquire()
    const waits = limiter.acquire()
    await expect(limiter.acquire()).rejects.toMatchObject({ code: 'ERR_LIMITER_CONCURRENCY', status: 503 })
    await expect(waits).rejects.toMatchObject({ headers: { 'Retry-After': '1' } })
    expect(limiter.stats()).toMatchObject({ waiting: 0, refused: 2 })
  })

  it('leaves the queue on abort, with the reason', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 1, queue: 2 })
    const held = limiter.tryAcquire()!
    const controller = new AbortController()
    const waits = limiter.acquire({ signal: controller.signal })
    const next = limiter.acquire()
    controller.abort(new Error('left'))
    await expect(waits).rejects.toThrow('left')
    held.release()
    ;(await next).release()
    await expect(limiter.acquire({ signal: controller.signal })).rejects.toThrow('left')
  })

  it('gives the place back when the task fails', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 1 })
    await expect(limiter.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await limiter.run(() => 7)).toBe(7)
  })

  it('closes when the last call has ended, and rejects waiting calls', async () => {
    const limiter = new ConcurrencyLimiter({ limit: 1, queue: 1 })
    const held = limiter.tryAcquire()!
    const waits = limiter.acquire()
    const closed = limiter.close()
    expect(limiter.close()).toBe(closed)
    await expect(waits).rejects.toMatchObject({ code: 'ERR_LIMITER_CLOSED' })
    await expect(limiter.acquire()).rejects.toMatchObject({ code: 'ERR_LIMITER_CLOSED' })
    expect(limiter.tryAcquire()).toBeUndefined()
    held.release()
    await closed
  })
})

describe('adaptiveLimit', () => {
  /** A service with `servers` that each take 10 ms: more in flight only wait longer. */
  function simulate(limit: ReturnType<typeof adaptiveLimit>, servers: number, rounds: number): void {
    for (let round = 0; round < rounds; round++) {
      const inFlight = limit.current
      const time = 10 * Math.max(1, inFlight / servers)
      for (let i = 0; i < 20; i++) limit.sample(time, inFlight)
    }
  }

  it('grows while calls stay as quick as they were, and stops near what the service can do', () => {
    const clock = new FakeClock()
    const limit = adaptiveLimit({ clock, window: 100, initial: 10 })
    const step = (servers: number, rounds: number) => {
      for (let round = 0; round < rounds; round++) {
        simulate(limit, servers, 1)
        clock.advance(100)
        simulate(limit, servers, 1)
      }
    }
    step(50, 60)
    expect(limit.current).toBeGreaterThan(50)
    expect(limit.current).toBeLessThan(150)
    const before = limit.current
    step(10, 60) // the service slows down to a fifth
    expect(limit.current).toBeLessThan(before)
  })

  it('stays between its bounds, and as it is while there is little to do', () => {
    const clock = new FakeClock()
    const limit = adaptiveLimit({ clock, window: 1, min: 5, max: 30, initial: 100 })
    expect(limit.current).toBe(30)
    for (let i = 0; i < 200; i++) {
      limit.sample(1, 1)
      clock.advance(1)
    }
    expect(limit.current).toBe(30)
    for (let i = 0; i < 5_000; i++) {
      limit.sample(i, 30)
      clock.advance(1)
    }
    expect(limit.current).toBeGreaterThanOrEqual(5)
    expect(limit.current).toBeLessThanOrEqual(30)
  })

  it('moves the limit of a ConcurrencyLimiter', () => {
    const limiter = new ConcurrencyLimiter({ limit: adaptiveLimit() })
    expect(limiter.limit).toBe(20)
    expect(() => new ConcurrencyLimiter({ limit: 0 })).toThrow(
      expect.objectContaining({ code: 'ERR_LIMITER_OPTION' }),
    )
  })
})
