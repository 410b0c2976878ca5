import { setTimeout as sleep } from 'node:timers/promises'
import {
  eventually,
  type FaultProxy,
  type RedisServer,
  startProxy,
  startRedis,
  startRedisCluster,
  startSentinel,
} from '@spillway/testkit'
import { Cluster, Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type Decision,
  type FailurePolicy,
  RateLimiter,
  type RedisStore,
  type RedisStoreOptions,
  redisStore,
  type StoreChange,
} from '../../src/index.js'
import { quiet } from '../subjects.js'
import { fresh } from './contract.js'

/*
 * What happens when Redis fails. `deadline` is how long a caller waits at most; the ways to fail are those of a real
 * server and a real network: killed, stopped by SIGSTOP, restarted empty, unreachable, silent, cut in mid-reply.
 */

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

interface Bench {
  readonly client: Redis
  readonly store: RedisStore
  readonly changes: (StoreChange & { up: boolean })[]
}

function open(port: number, options: RedisStoreOptions): Bench {
  const client = quiet(new Redis({ port, host: '127.0.0.1', retryStrategy: () => 25 }))
  cleanups.push(() => client.disconnect())
  return { client, ...watched(redisStore(client, options)) }
}

function watched(store: RedisStore): Omit<Bench, 'client'> {
  cleanups.push(() => store.close())
  const changes: Bench['changes'] = []
  store.on('down', (change) => changes.push({ ...change, up: false }))
  store.on('up', (change) => changes.push({ ...change, up: true }))
  return { store, changes }
}

function limiterOf(store: RedisStore, limit: number, onStoreFailure: FailurePolicy = 'local') {
  return new RateLimiter({ name: fresh(), limit, window: '30d', store, onStoreFailure, denyCache: false })
}

/** One call after the other until the store answers again. */
function untilServed(limiter: RateLimiter<Promise<Decision>>, key = 'again'): Promise<Decision> {
  return eventually(
    async () => {
      const decision = await limiter.consume(key, { cost: 0 })
      return decision.source === 'redis' && decision
    },
    { timeout: 20_000 },
  ) as Promise<Decision>
}

describe('one Redis', () => {
  let server: RedisServer
  let proxy: FaultProxy
  beforeEach(async () => {
    server = await startRedis({ durable: true })
    cleanups.push(() => server[Symbol.asyncDispose]())
    proxy = await startProxy({ target: server })
    cleanups.push(() => proxy.close())
  })

  const faults: [string, () => unknown, () => unknown][] = [
    ['killed', () => server.kill(), () => server.restart()],
    ['stopped (SIGSTOP)', () => server.pause(), () => server.resume()],
    ['unreachable', () => proxy.refuse(), () => proxy.pass()],
    // What was swallowed is lost: those connections are of no more use.
    ['silent', () => proxy.stall(), () => Promise.all([proxy.pass(), proxy.dropConnections()])],
  ]

  it.each(faults)(
    'L10, L11: %s: every call is answered, and the store comes back by itself',
    async (_, fail, heal) => {
      const { store, changes } = open(proxy.port, { deadline: 500 })
      const limiter = limiterOf(store, 1_000)
      await untilServed(limiter)
      const before = store.stats().calls
      await fail()
      for (let i = 0; i < 30; i++) {
        const calls = await Promise.all([limiter.consume('a'), limiter.consume('b')])
        expect(calls.map(({ source }) => source)).toEqual(['fallback', 'fallback'])
      }
      expect(store.stats().up).toBe(false)
      expect(changes).toMatchObject([{ up: false, store: 'redis', reason: expect.any(Error) }])
      // Three waited for the deadline; since then it is known to be down, and only a probe now and then waits.
      expect(store.stats().calls - before).toBeLessThanOrEqual(6)
      await heal()
      await untilServed(limiter)
      expect(store.stats().up).toBe(true)
      expect(changes.map(({ up }) => up)).toEqual([false, true])
      expect((await limiter.consume('a')).source).toBe('redis')
    },
  )

  it('L12, L13: deny is 503 and never "limited", allow lets all through, local a share', async () => {
    const { store } = open(proxy.port, { deadline: 200 })
    const [allow, deny] = [limiterOf(store, 1, 'allow'), limiterOf(store, 1, 'deny')]
    const local = limiterOf(store, 10, { local: 0.5 })
    await server.kill()
    const ask = (limiter: RateLimiter<Promise<Decision>>) =>
      Promise.all(Array.from({ length: 12 }, () => limiter.consume('a')))
    const count = (decisions: Decision[]) => decisions.filter(({ allowed }) => allowed).length
    expect(count(await ask(allow))).toBe(12)
    const denied = await ask(deny)
    expect(count(denied)).toBe(0)
    expect(denied.every(({ unavailable, retryAfter }) => unavailable && retryAfter > 0)).toBe(true)
    await expect(deny.wait('a', { maxWait: 50 })).rejects.toMatchObject({
      status: 503,
      code: 'ERR_LIMITER_UNAVAILABLE',
    })
    expect(count(await ask(local))).toBe(5)
    await server.restart()
    await untilServed(local)
    expect(count(await ask(local))).toBe(10)
  })

  it('L14: restarted empty: the script is loaded again, nobody notices', async () => {
    const { store } = open(server.port, { deadline: '20s' })
    const limiter = limiterOf(store, 5)
    expect((await limiter.consume('a', { cost: 5 })).remaining).toBe(0)
    await server.restartEmpty()
    const wave = await Promise.all(Array.from({ length: 20 }, (_, i) => limiter.consume(`k${i}`)))
    expect(wave.every(({ source, remaining }) => source === 'redis' && remaining === 4)).toBe(true)
    expect((await limiter.consume('a')).remaining).toBe(4)
    expect(store.stats().failures).toBe(0)
  })

  it('L15: cut in mid-reply: the client sends the call again, and it is not charged twice', async () => {
    const { store } = open(proxy.port, { deadline: '20s' })
    const limiter = limiterOf(store, 100)
    await limiter.consume('warm')
    for (let i = 1; i <= 5; i++) {
      await proxy.cutAfter(3)
      const decision = await limiter.consume('a', { cost: 3 })
      expect(decision).toMatchObject({ source: 'redis', allowed: true, remaining: 100 - 3 * i })
    }
    expect(proxy.stats().cuts).toBe(5)
    expect((await limiter.peek('a', { cost: 0 })).remaining).toBe(85)
  })

  it('L15: what reaches Redis after the deadline is not charged at all', async () => {
    const { client, store } = open(proxy.port, { deadline: 500 })
    const limiter = limiterOf(store, 100, 'allow')
    await untilServed(limiter)
    await limiter.consume('a')
    for (let i = 0; i < 10; i++) await limiter.peek('a') // one of them is quick and shows the server's clock well
    await server.pause()
    const late = await Promise.all([limiter.consume('a', { cost: 7 }), limiter.consume('b', { cost: 9 })])
    expect(late.map(({ source }) => source)).toEqual(['fallback', 'fallback'])
    await sleep(200)
    await server.resume()
    await client.ping() // answered after what was sent before
    expect((await untilServed(limiter, 'a')).remaining).toBe(99)
    expect((await untilServed(limiter, 'b')).remaining).toBe(100)
  })

  it('a clock of the server that was moved costs one more try, no decision', async () => {
    const { client, store } = open(server.port, { deadline: '20s' })
    const limiter = limiterOf(store, 100)
    await limiter.consume('a')
    // Faked on our side: all the store knows of the server's clock is what answers say.
    const { now } = performance
    performance.now = () => now.call(performance) - 3_600_000
    try {
      expect(await limiter.consume('a')).toMatchObject({ source: 'redis', remaining: 98 })
    } finally {
      performance.now = now
    }
    expect(await limiter.consume('a')).toMatchObject({ source: 'redis', remaining: 97 })
    expect(client.status).toBe('ready')
  })

  it('an error of Redis is a failure, not a denial', async () => {
    const { client, store, changes } = open(server.port, { deadline: '20s' })
    const limiter = limiterOf(store, 10, 'deny')
    await client.config('SET', 'maxmemory', '1')
    for (let i = 0; i < 3; i++) {
      expect(await limiter.consume('a')).toMatchObject({
        allowed: false,
        unavailable: true,
        source: 'fallback',
      })
    }
    expect(changes[0]?.reason?.message).toMatch(/OOM/)
    await client.config('SET', 'maxmemory', '0')
    expect((await untilServed(limiter)).remaining).toBe(10)
  })

  it('answers calls under way by the policy when the store is closed', async () => {
    const { store } = open(proxy.port, { deadline: '60s' })
    const limiter = limiterOf(store, 10, 'deny')
    await limiter.consume('a')
    await proxy.stall()
    const [under, way] = [limiter.consume('a'), limiter.consume('b')]
    await store.close()
    expect((await under).source).toBe('fallback')
    expect((await way).source).toBe('fallback')
    expect((await limiter.consume('a')).source).toBe('fallback')
  })

  it('settles at the store what the store charged, and by the policy what that charged', async () => {
    const { store } = open(server.port, { deadline: 500 })
    const limiter = limiterOf(store, 10, { local: 1 })
    await untilServed(limiter)
    const before = await limiter.consume('a', { cost: 4 })
    await server.kill()
    const during = await limiter.consume('a', { cost: 8 })
    expect(during).toMatchObject({ source: 'fallback', remaining: 2 })
    expect(await limiter.settle(during, 1)).toMatchObject({ source: 'fallback', remaining: 9 })
    await server.restart()
    await untilServed(limiter)
    expect(await limiter.settle(before, 1)).toMatchObject({ source: 'redis', remaining: 9 })
  })
})

describe('failover', () => {
  it('Redis Cluster: a master is killed; other slots go on, its own come back with the replica', async () => {
    const servers = await startRedisCluster({
      replicas: 1,
      args: ['--cluster-require-full-coverage', 'no'],
    })
    cleanups.push(() => servers[Symbol.asyncDispose]())
    const client = quiet(new Cluster(servers.addresses, { slotsRefreshInterval: 200 }))
    cleanups.push(() => client.disconnect())
    const { store, changes } = watched(redisStore(client, { deadline: 300 }))
    const limiter = limiterOf(store, 1_000)
    const keys = Array.from({ length: 60 }, (_, i) => `k${i}`)
    const wave = () => Promise.all(keys.map((key) => limiter.consume(key)))
    await eventually(async () => (await wave()).every(({ source }) => source === 'redis'))

    const failover = servers.killMaster()
    const sources = new Set<string>()
    for (let over = false; !over; ) {
      const decisions = await wave()
      for (const { source } of decisions) sources.add(source)
      expect(decisions.some(({ source }) => source === 'redis')).toBe(true)
      over = await Promise.race([
        failover.then(() => true),
        new Promise<false>((go) => setImmediate(go, false)),
      ])
    }
    expect([...sources].sort()).toEqual(['fallback', 'redis'])
    expect(changes.every(({ node }) => node !== '')).toBe(true)
    await eventually(async () => (await wave()).every(({ source }) => source === 'redis'), {
      timeout: 25_000,
    })
  }, 60_000)

  it('L14, L15, L37: Redis Cluster: a master is killed; what its replica knows counts, to the last token', async () => {
    const servers = await startRedisCluster({
      replicas: 1,
      args: ['--cluster-require-full-coverage', 'no'],
    })
    cleanups.push(() => servers[Symbol.asyncDispose]())
    const client = quiet(new Cluster(servers.addresses, { slotsRefreshInterval: 200 }))
    cleanups.push(() => client.disconnect())
    const { store } = watched(redisStore(client, { deadline: 500 }))
    const limiter = limiterOf(store, 40, 'deny')
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`)
    const admitted = new Map(keys.map((key) => [key, 0]))
    const wave = () =>
      Promise.all(
        keys.map(async (key) => {
          const decision = await limiter.consume(key)
          if (decision.allowed) admitted.set(key, admitted.get(key)! + 1)
          return decision
        }),
      )
    await eventually(async () => (await wave()).every(({ source }) => source === 'redis'))
    for (let i = 0; i < 10; i++) await wave()
    // Replication is asynchronous; what has reached the replica is what must not be lost.
    for (const master of await servers.masters()) expect(await master.command('WAIT', 1, 10_000)).toBe(1)
    const failover = servers.killMaster()
    for (let over = false; !over; ) {
      await wave()
      over = await Promise.race([failover.then(() => true), sleep(20, false)])
    }
    await eventually(
      async () => (await wave()).every(({ source, allowed }) => source === 'redis' && !allowed),
      { timeout: 25_000 },
    )
    // A call that was under way and got no answer may have been charged: then fewer, never more.
    for (const [key, count] of admitted) expect(count, key).toBeLessThanOrEqual(40)
    expect([...admitted.values()]).toContain(40)
  }, 60_000)

  it('Sentinel: the primary is killed; the limiter goes on with the new one', async () => {
    const setup = await startSentinel()
    cleanups.push(() => setup[Symbol.asyncDispose]())
    const client = quiet(
      new Redis({ sentinels: setup.addresses, name: setup.name, sentinelRetryStrategy: () => 50 }),
    )
    cleanups.push(() => client.disconnect())
    const { store } = watched(redisStore(client, { deadline: 300 }))
    const limiter = limiterOf(store, 1_000)
    await untilServed(limiter)
    await setup.killPrimary()
    expect((await untilServed(limiter)).source).toBe('redis')
    expect((await limiter.consume('a')).remaining).toBe(999)
  }, 60_000)
})
