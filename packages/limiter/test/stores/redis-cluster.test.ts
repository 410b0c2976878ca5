import { type RedisCluster, startRedisCluster } from '@spillway/testkit'
import { Cluster } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis5'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limiters, RateLimiter, type RedisClient, redisStore } from '../../src/index.js'
import { quiet, redisWorld } from '../subjects.js'
import { fresh, storeContract } from './contract.js'

let servers: RedisCluster
const clients: { disconnect(): void }[] = []

beforeAll(async () => {
  servers = await startRedisCluster()
})
afterAll(async () => {
  for (const client of clients) client.disconnect()
  await servers[Symbol.asyncDispose]()
})

function connect<C extends RedisClient & { disconnect(): void }>(client: C): C {
  clients.push(client)
  return quiet(client)
}

storeContract('a Redis Cluster', () => redisWorld(connect(new Cluster(servers.addresses))))

describe.each([
  ['ioredis 6', Cluster],
  ['ioredis 5', Cluster5],
])('Redis Cluster by %s', (_, Client) => {
  const keys = Array.from({ length: 200 }, (_, i) => `key-${i}`)

  it.each([true, false])(
    'L17, L18: 200 keys with a key prefix, autopipelining: %s',
    async (enableAutoPipelining) => {
      const client = connect(new Client(servers.addresses, { keyPrefix: 'app:', enableAutoPipelining }))
      const store = redisStore(client as RedisClient, { deadline: '20s' })
      const [first, second] = [fresh(), fresh()]
      const both = limiters.all([
        new RateLimiter({ name: first, limit: 2, window: '1h', store }),
        new RateLimiter({ name: second, limit: 5, window: '1d', store }),
      ])
      const decisions = await Promise.all(keys.map((key) => both.consume(key)))
      expect(decisions.map(({ source, remaining }) => `${source} ${remaining}`)).toEqual(
        keys.map(() => 'redis 1'),
      )
      expect(store.stats()).toMatchObject({ failures: 0, up: true })
      const [master] = await servers.masters()
      const names = (await master!.command('KEYS', `*:${first}`)) as string[]
      expect(names.length).toBeGreaterThan(30)
      expect(names.every((name) => /^app:spillway:\{key-\d+\}:/.test(name))).toBe(true)
      await store.close()
    },
  )

  it('L14: SCRIPT FLUSH on every node between two waves', async () => {
    const store = redisStore(connect(new Client(servers.addresses)) as RedisClient, { deadline: '20s' })
    const limiter = new RateLimiter({ name: fresh(), limit: 2, window: '1h', store })
    for (const expected of [1, 0]) {
      await Promise.all((await servers.masters()).map((node) => node.command('SCRIPT', 'FLUSH')))
      const wave = await Promise.all(keys.map((key) => limiter.consume(key)))
      expect(wave.map(({ source, remaining }) => `${source} ${remaining}`)).toEqual(
        keys.map(() => `redis ${expected}`),
      )
    }
    await store.close()
  })
})
