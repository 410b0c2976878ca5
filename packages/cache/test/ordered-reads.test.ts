import { type RedisServer, startProxy, startRedis } from '@spillway/testkit'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Cache, type CacheOptions, redisStore } from '../src/index.js'
import { placeOf } from '../src/stores/redis/redis-server.js'

/** Reads over the connection of the bus, which RESP3 (ioredis 6) allows. Nothing is kept in the process here. */

let redis: RedisServer
let other: RedisServer
const open: (() => unknown)[] = []
let names = 0
let name: string

beforeAll(async () => {
  ;[redis, other] = await Promise.all([startRedis(), startRedis()])
})
beforeEach(() => {
  name = `ordered${names++}`
})
afterAll(async () => {
  for (const close of open.reverse()) await close()
  await redis?.[Symbol.asyncDispose]()
  await other?.[Symbol.asyncDispose]()
})

function connect<Client extends Redis | Redis5>(client: Client): Client {
  client.on('error', () => {})
  open.push(() => client.disconnect())
  return client
}

async function node(
  client: Redis | Redis5 = connect(new Redis(redis.url())),
  options: CacheOptions = {},
): Promise<Cache> {
  const cache = new Cache({ name, l1: false, storeTimeout: '10s', store: redisStore(client), ...options })
  open.push(() => cache.close())
  await expect.poll(() => cache.stats().l2?.busHealthy, { timeout: 10_000 }).toBe(true)
  return cache
}

async function calls(command: string): Promise<number> {
  const stats = String(await redis.command('INFO', 'commandstats'))
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

const load = () => 'loaded'

/** Reads until reading goes over the connection of the bus. */
async function warm(cache: Cache, options = {}): Promise<void> {
  await cache.set('warm', 'warm', options)
  await expect
    .poll(
      async () => {
        const before = await calls('mget')
        await cache.getOrSet('warm', load, options)
        return (await calls('mget')) - before
      },
      { timeout: 10_000 },
    )
    .toBe(0)
}

describe('hits one after the other', () => {
  it('are one GET each, with tags or without', async () => {
    const cache = await node()
    for (const options of [{}, { tags: ['t', 'u'] }]) {
      await warm(cache, options)
      const [gets, mgets] = [await calls('get'), await calls('mget')]
      for (let i = 0; i < 50; i++) expect(await cache.getOrSet('warm', load, options)).toBe('warm')
      expect([await calls('get'), await calls('mget')]).toEqual([gets + 50, mgets])
    }
  })

  it('are as before over ioredis 5, whose subscribers may not read', async () => {
    const cache = await node(connect(new Redis5(redis.url())))
    await cache.set('k', 'v')
    const mgets = await calls('mget')
    for (let i = 0; i < 50; i++) expect(await cache.getOrSet('k', load)).toBe('v')
    expect(await calls('mget')).toBe(mgets + 50)
  })

  it('are as before for large entries, which a subscriber had better not ask for', async () => {
    const cache = await node()
    await warm(cache)
    const large = 'x'.repeat(200_000)
    await cache.set('large', large)
    await cache.getOrSet('large', load)
    const mgets = await calls('mget')
    for (let i = 0; i < 10; i++) expect(await cache.getOrSet('large', load)).toBe(large)
    expect(await calls('mget')).toBe(mgets + 10)
  })

  it('use the key prefix of the client', async () => {
    const cache = await node(connect(new Redis(redis.url(), { keyPrefix: 'app:' })))
    await warm(cache)
    expect(await cache.getOrSet('warm', load)).toBe('warm')
    expect(await redis.command('EXISTS', `app:${name}:entry:warm`)).toBe(1)
  })
})

const NEW_EPOCHS = [
  ['clear', {}, (cache: Cache) => cache.clear()],
  ['deleteByTag', { tags: ['t'] }, (cache: Cache) => cache.deleteByTag('t')],
] as const

describe.each([...NEW_EPOCHS, ['delete', {}, (cache: Cache) => cache.delete('k')]] as const)(
  'a %s that another node was told is done',
  (_what, options, invalidate) => {
    it('is seen by the next hit, however soon', async () => {
      const [a, b] = [await node(), await node()]
      await warm(b, options)
      for (let round = 0; round < 300; round++) {
        await a.set('k', 'old', options)
        expect(await b.getOrSet('k', load, options)).toBe('old')
        expect(await b.getOrSet('k', load, options)).toBe('old')
        await invalidate(a)
        expect(await b.getOrSet('k', () => round, options)).toBe(round)
      }
    })

    it('is seen, too, where the connection of the bus leads to another server', async () => {
      const client = connect(new Redis(redis.url()))
      client.duplicate = () => new Redis(other.url(), { lazyConnect: true })
      const [a, b] = [await node(), await node(client)]
      await a.set('k', 'old', options)
      for (let i = 0; i < 20; i++) expect(await b.getOrSet('k', load, options)).toBe('old')
      await invalidate(a)
      expect(await b.getOrSet('k', load, options)).toBe('loaded')
    })
  },
)

describe.each(NEW_EPOCHS)('a %s', (_what, options, invalidate) => {
  it('is seen, too, when it happened while the reply with the old epoch was on its way', async () => {
    await using proxy = await startProxy({ target: { port: redis.port } })
    const client = connect(new Redis(proxy.url('redis')))
    client.duplicate = () => new Redis(redis.url(), { lazyConnect: true })
    const [a, b] = [await node(), await node(client)]
    await warm(b, options)
    await a.set('k', 'old', options)
    await invalidate(a) // so that `b` has to ask for the epochs
    await a.set('k', 'old', options)
    const before = await calls('mget')
    await proxy.delay(100)
    const beside = b.getOrSet('warm', load, options)
    await expect.poll(() => calls('mget'), { timeout: 10_000, interval: 1 }).toBeGreaterThan(before)
    await invalidate(a)
    await beside
    await proxy.pass()
    expect(await b.getOrSet('k', load, options)).toBe('loaded')
  })
})

describe.each([1, 0])('a client that selects database %i', (first) => {
  it('is followed, or the bus is not asked any more', async () => {
    const client = connect(new Redis(redis.url(), { db: first }))
    const cache = await node(client)
    await warm(cache)
    await client.select(2)
    expect(await cache.getOrSet('warm', () => 'other')).toBe('other')
    await client.select(first)
    expect(await cache.getOrSet('warm', load)).toBe('warm')
    await client.select(2)
    expect(await cache.getOrSet('warm', load)).toBe('other')
    // A bus of a cache that is made now begins where the client's options say.
    const late = await node(client, { name: `${name}late` })
    for (let i = 0; i < 20; i++) expect(await late.getOrSet('k', () => i)).toBe(0)
    expect(await client.exists(`${name}late:entry:k`)).toBe(1)
  })
})

it('two connections agree by server and database, of Redis and Valkey only', async () => {
  const asked = (info: string) => {
    const answer = async (what: unknown) => (what === 'server' ? info : 'id=3 db=1 name=')
    const createBuiltinCommand = () => ({ string: answer, buffer: answer })
    const connect = async () => {}
    return placeOf({ status: 'ready', createBuiltinCommand, connect, on: () => {}, off: () => {} })
  }
  const info = 'redis_version:7.2.4\r\nserver_name:valkey\r\nrun_id:abc1\r\n'
  expect(await asked(info)).toBe('abc1 1')
  expect(await asked('redis_version:7.2.4')).toBe(undefined)
  for (const other of ['dragonfly_version:df-v1', 'executable:/bin/keydb-server', 'garnet_version:1'])
    expect(await asked(`${info}${other}\r\n`)).toBe(undefined)
})

describe('what no message tells', () => {
  it('an epoch that was lost: nodes that remember it and nodes that do not agree again', async () => {
    const [a, b] = [await node(), await node()]
    await warm(a)
    await a.set('k', 1)
    await redis.command('DEL', `${name}:epoch:all`)
    expect(await b.getOrSet('k', () => 2)).toBe(2) // its entry is unknown to `b`
    expect(await a.getOrSet('k', () => 3)).toBe(2)
    expect(await b.getOrSet('k', () => 4)).toBe(2)
    const mgets = await calls('mget')
    for (let i = 0; i < 10; i++) expect(await a.getOrSet('k', () => 5)).toBe(2)
    expect(await calls('mget')).toBe(mgets)
  })

  it('a connection that breaks: reads go the other way, and back', async () => {
    const cache = await node()
    await warm(cache)
    let wrong = 0
    let over = false
    const reading = (async () => {
      while (!over) if ((await cache.getOrSet('warm', load)) !== 'warm') wrong++
    })()
    for (let i = 0; i < 5; i++) {
      await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await expect.poll(() => cache.stats().l2?.busHealthy, { timeout: 10_000 }).toBe(true)
    }
    over = true
    await reading
    expect(wrong).toBe(0)
    await warm(cache)
  })

  it('a connection that falls silent alone costs one read its time-out, and the store stays in use', async () => {
    await using proxy = await startProxy({ target: { port: redis.port } })
    const client = connect(new Redis(redis.url()))
    client.duplicate = () =>
      connect(new Redis(proxy.url('redis'), { lazyConnect: true, retryStrategy: null }))
    const cache = await node(client, { storeTimeout: 1_000 })
    await warm(cache)
    await proxy.stall()
    const values: string[] = []
    for (let i = 0; i < 20; i++) values.push(await cache.getOrSet('warm', load))
    expect(values).toEqual(['loaded', ...Array.from({ length: 19 }, () => 'warm')])
    expect(cache.stats().l2).toMatchObject({ timeouts: 1, breakerOpen: false })
    await expect.poll(() => cache.stats().l2?.busHealthy, { timeout: 10_000 }).toBe(false)
    await proxy.pass()
    await expect.poll(() => cache.stats().l2?.busHealthy, { timeout: 10_000 }).toBe(true)
  })

  it('a client that has moved to another server: its bus is not asked any more', async () => {
    const client = connect(new Redis(redis.url()))
    const cache = await node(client)
    await warm(cache)
    client.options.port = Number(new URL(other.url()).port)
    client.disconnect(true)
    await expect.poll(() => client.status, { timeout: 10_000 }).toBe('ready')
    await expect.poll(() => cache.getOrSet('warm', () => 'there'), { timeout: 10_000 }).toBe('there')
  })
})
