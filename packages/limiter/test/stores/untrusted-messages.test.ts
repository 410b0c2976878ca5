import { spawn } from 'node:child_process'
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type RedisServer, startRedis } from '@spillway/testkit'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Answer, limiters, RateLimiter, redisStore, serveClusterStore } from '../../src/index.js'
import { forkWorker, quiet } from '../subjects.js'
import { LOCAL_STORES } from './every-store.js'

const limit = [5, 5, 1e9, 0]
const ask = (keys: unknown, numbers: unknown, more: object = {}) => ({
  spillway: 'limiter',
  type: 'ask',
  id: 1,
  keys,
  numbers,
  latest: Number.MAX_VALUE,
  ...more,
})

/** Messages that look like requests of the cluster store; each of them ended the primary of 0.1.0 or kept it busy for ever. */
const lookalikes: Record<string, unknown> = {
  'no fields': { spillway: 'limiter', type: 'ask' },
  'keys that are no list': ask(7, []),
  'keys that are no texts': ask([{}], [0, 1, 1, 1, 1, ...limit]),
  'numbers that are no list': ask(['x a'], null),
  'more groups than keys': ask(['x a'], [0, 1, 1, 4e9, 1, ...limit]),
  'groups of no limits': ask([], [0, 0, 1, 4e9, 0]),
  'a count without end': ask(['x a'], [0, 0, 4e15, 1, 1, ...limit]),
  'a cost that gives': ask(['x a'], [0, -1, 4e15, 1, 1, ...limit]),
  'limits without end': ask(['x a'], [0, 1, 1, 1, 4e9]),
  'a kind that is none': ask(['x a'], [9, 1, 4e15, 1, 1, ...limit]),
  'a number that is a text': ask(['x a'], [0, 0, '4e15', 1, 1, ...limit]),
}

describe('the primary of a cluster', () => {
  it.each(Object.keys(lookalikes))('S8 outlives a lookalike of its messages: %s', async (name) => {
    const primary = spawn(
      process.execPath,
      [fileURLToPath(new URL('../fixtures/hostile-primary.mjs', import.meta.url))],
      {
        env: { ...process.env, MESSAGES: JSON.stringify([lookalikes[name]]) },
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    )
    onTestFinished(() => void primary.kill('SIGKILL'))
    const ended = once(primary, 'exit')
    let told = ''
    primary.stdout.on('data', (data) => {
      told += data
    })
    expect(await ended).toEqual([0, null])
    expect(JSON.parse(told)).toEqual({ source: 'cluster', remaining: 4, limits: 1 })
  })

  async function serving() {
    const server = serveClusterStore()
    const worker = await forkWorker({ deadline: '20s' })
    onTestFinished(async () => {
      await worker.stop()
      await server.close()
    })
    return { server, worker }
  }

  it('S8 neither throws nor hangs nor grows, whatever a worker says', async () => {
    const { server, worker } = await serving()
    const limiter = await worker.limiter({ name: 'own', limit: 5, window: '30d' })
    const field = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 5 }) },
      fc.double(),
      fc.constantFrom(-1, 1e300, -1e300, Number.NaN, Number.POSITIVE_INFINITY, 1e15, 4e9, Number.MIN_VALUE),
      fc.anything(),
    )
    const keys = fc.array(
      fc.oneof({ weight: 6, arbitrary: fc.constantFrom('x a', 'x b', 'y a') }, fc.string(), fc.anything()),
      { maxLength: 6 },
    )
    const message = fc.record(
      {
        spillway: fc.constant('limiter'),
        type: fc.constantFrom('ask', 'hello', 'answer', 'welcome', 'constructor'),
        id: field,
        version: field,
        latest: fc.constantFrom(Number.MAX_VALUE, 0, Number.NaN),
        keys: fc.oneof({ weight: 8, arbitrary: keys }, fc.anything()),
        numbers: fc.oneof({ weight: 8, arbitrary: fc.array(field, { maxLength: 40 }) }, fc.anything()),
      },
      { requiredKeys: ['spillway', 'type'] },
    )
    fc.assert(
      fc.property(fc.oneof({ weight: 9, arbitrary: message }, fc.anything()), (said) => {
        cluster.emit('message', worker.worker, said)
      }),
      { numRuns: 3_000 },
    )
    // The numbers of a sound request, one of them changed.
    const sound = [0, 1, 3, 1, 2, ...limit, ...limit, 4, 1, 9, 2, 1, ...limit]
    fc.assert(
      fc.property(fc.nat(sound.length - 1), field, (at, value) => {
        const numbers: unknown[] = sound.with(at, 0)
        numbers[at] = value
        cluster.emit('message', worker.worker, ask(['x a', 'x b', 'y a', 'y b'], numbers))
      }),
      { numRuns: 2_000 },
    )
    expect(server.stats().limits).toBeLessThanOrEqual(3)
    expect(server.stats().refused).toBeGreaterThan(100)
    expect(await limiter.consume('a')).toMatchObject({ source: 'cluster', remaining: 4 })
  })

  it('S8 keeps a bounded number of limits, and those with clients', async () => {
    const { server, worker } = await serving()
    const limiter = await worker.limiter({ name: 'own', limit: 5, window: '30d' })
    for (const client of 'abc') await limiter.consume(client)
    const numbers = [0, 1, 1, 250, 1, ...limit]
    for (let i = 0; i < 5_000; i += 250) {
      const keys = Array.from({ length: 250 }, (_, k) => `made-up-${i + k} a`)
      cluster.emit('message', worker.worker, ask(keys, numbers))
    }
    const { limits, bytes } = server.stats()
    expect(limits).toBe(1_024)
    expect(bytes).toBeLessThan(1_024 * 2_000)
    expect((await limiter.peek('a', { cost: 0 })).remaining).toBe(4)
  })

  it('S8 is not kept busy by the largest request that is sound', async () => {
    const { server, worker } = await serving()
    const keys = Array.from({ length: 256 }, (_, k) => `x ${k}`)
    let steps = 0
    const { isConnected } = worker.worker
    worker.worker.isConnected = function (this: Worker) {
      steps++
      return Reflect.apply(isConnected, this, [])
    }
    cluster.emit('message', worker.worker, ask(keys, [0, 0, 1_000, 256, 1, ...limit]))
    cluster.emit('message', worker.worker, ask(keys, [0, 0, 1_001, 256, 1, ...limit]))
    cluster.emit('message', worker.worker, ask([...keys, 'x a'], [0, 0, 1, 257, 1, ...limit]))
    expect(steps).toBe(1)
    expect(server.stats()).toMatchObject({ calls: 1, refused: 1 })
  })
})

describe('a worker', () => {
  it('S8 decides by its policy when what comes as the answer is none', async () => {
    const worker = await forkWorker({ deadline: '20s' })
    onTestFinished(async () => {
      await worker.stop()
    })
    const limiter = await worker.limiter({ name: 'own', limit: 5, window: '30d', onStoreFailure: 'deny' })
    let answer: (id: number) => unknown = () => undefined
    let asked = 0
    worker.worker.on('message', ({ spillway, type, id }) => {
      if (spillway !== 'limiter' || type !== 'ask') return
      asked++
      worker.worker.send(answer(id) as never)
      // What is no message at all is ignored, and then the call would wait for its deadline.
      worker.worker.send({ spillway: 'limiter', type: 'answer', id, numbers: [] })
    })
    const consume = () => {
      // Failures were noted; the next call asks all the same.
      worker.worker.send({ spillway: 'limiter', type: 'welcome', version: 3 })
      return limiter.consume('a')
    }
    const value = fc.oneof(
      fc.constantFrom(-1, 0.5, 1e19, 1e300, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
      fc.constantFrom(null, 'a', undefined, {}, []),
    )
    const numbers = fc.oneof(
      // The first number counts, so half of one is wrong; the others may be anything from 0 up to a bound.
      fc
        .tuple(fc.nat(2), value)
        .filter(([at, each]) => each !== 0.5 || at === 0)
        .map(([at, each]) => ([1, 0, 0] as unknown[]).map((old, i) => (i === at ? each : old))),
      fc.array(fc.constant(0), { maxLength: 9 }).filter(({ length }) => length !== 3),
      fc.constantFrom(null, 'abc', 7, {}),
    )
    await fc.assert(
      fc.asyncProperty(numbers, async (each) => {
        answer = (id) => ({ spillway: 'limiter', type: 'answer', id, numbers: each })
        expect(await consume()).toMatchObject({ source: 'fallback', unavailable: true })
      }),
      { numRuns: 150 },
    )
    expect(asked).toBeGreaterThanOrEqual(150)
    answer = (id) => ({ spillway: 'limiter', type: 'answer', id, numbers: [1, 0, 0] })
    expect(await consume()).toMatchObject({ source: 'cluster', remaining: 4 })
  })
})

describe('a Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  /** A client whose server says what the test wants. */
  function answering(reply: unknown) {
    return redisStore({ callBuffer: async () => reply, on() {}, off() {} })
  }
  const doubles = (...values: number[]) => {
    const bytes = Buffer.alloc(8 * values.length)
    for (const [i, value] of values.entries()) bytes.writeDoubleBE(value, 8 * i)
    return bytes
  }

  it('S8 is not trusted: any reply ends in a decision, and a wrong one in the policy', async () => {
    const wrong = fc.constantFrom(
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      -1,
      1e300,
      1e19,
    )
    const reply = fc.oneof(
      fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
      fc.tuple(fc.nat(4), wrong).map(([at, value]) => doubles(...[1e15, 0, 1, 0, 0].with(at, value))),
      fc.array(fc.double(), { maxLength: 9 }).map((values) => doubles(...values)),
      fc.anything(),
    )
    await fc.assert(
      fc.asyncProperty(reply, async (each) => {
        const store = answering(each)
        const limiter = new RateLimiter({ name: 'a', limit: 5, window: '1h', store, onStoreFailure: 'deny' })
        const decision = await limiter.consume('a')
        if (decision.source === 'fallback') expect(decision.unavailable).toBe(true)
        else expect(decision.remaining).toBeGreaterThanOrEqual(0)
        await store.close()
      }),
      { numRuns: 1_000 },
    )
    for (const [at, value] of [...Array(5).keys()].flatMap((at) =>
      [Number.NaN, -1, 1e300].map((v) => [at, v] as const),
    )) {
      const store = answering(doubles(...[1e15, 0, 1, 0, 0].with(at, value)))
      const limiter = new RateLimiter({ name: 'a', limit: 5, window: '1h', store, onStoreFailure: 'deny' })
      // The second number says only whether it was too late.
      expect((await limiter.consume('a')).source, `${at}: ${value}`).toBe(at === 1 ? 'redis' : 'fallback')
    }
    expect(
      await new RateLimiter({
        name: 'a',
        limit: 5,
        window: '1h',
        store: answering(doubles(1e15, 0, 1, 0, 0)),
      }).consume('a'),
    ).toMatchObject({ source: 'redis', remaining: 4 })
  })

  it('S8 with any 16 bytes in the place of a bucket goes on, and takes it for a full one', async () => {
    const client = quiet(new Redis(server.port, server.host))
    onTestFinished(() => client.disconnect())
    const store = redisStore(client, { deadline: '20s' })
    const one = new RateLimiter({ name: 'one', limit: 5, window: '1h', store })
    const two = limiters.all([one, new RateLimiter({ name: 'two', limit: 5, window: '1d', store })])
    for (const used of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 1e300]) {
      for (const limiter of [one, two]) {
        await client.set('spillway:{a}:one', doubles(used, 1e15))
        await client.del('spillway:{a}:two')
        expect(await limiter.consume('a'), String(used)).toMatchObject({ source: 'redis', remaining: 4 })
      }
    }
    expect(store.stats()).toMatchObject({ up: true, failures: 0 })
    await store.close()
  })
})

describe('numbers at the edge', () => {
  it.each(Object.keys(LOCAL_STORES))(
    'S8 a debt without end and a rate near zero end in a decision: %s',
    async (name) => {
      const store = LOCAL_STORES[name]!()
      const debtor = new RateLimiter<Answer>({ name: 'a', limit: 5, window: '1h', store } as never)
      for (let i = 0; i < 3; i++) {
        // Both are admitted before the real cost is known; the sum of the costs is beyond all numbers.
        const admitted = [await debtor.consume(`d${i}`), await debtor.consume(`d${i}`)]
        for (const decision of admitted) await debtor.settle(decision, Number.MAX_VALUE)
        const decision = await debtor.consume(`d${i}`)
        expect(decision).toMatchObject({ allowed: false, remaining: 0 })
        expect(decision.retryAfter).toBeGreaterThan(0)
        expect(Number.isFinite(decision.retryAfter)).toBe(true)
        expect((await debtor.refund(`d${i}`, Number.MAX_VALUE)).remaining).toBe(5)
      }
      const slow = new RateLimiter<Answer>({
        name: 'b',
        capacity: 1,
        refill: { tokens: 1e-300, per: '3650d' },
        store,
      } as never)
      expect((await slow.consume('a')).allowed).toBe(true)
      expect(await slow.consume('a')).toMatchObject({ allowed: false, retryAfter: Number.POSITIVE_INFINITY })
    },
  )
})
