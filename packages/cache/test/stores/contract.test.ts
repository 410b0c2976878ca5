import { startMemcached, startRedis, startRedisCluster, startSentinel } from '@spillway/testkit'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import { memcachedStore, memoryStore, redisStore } from '../../src/index.js'
import { type Subject, storeContract } from './contract.js'

storeContract('memoryStore', async () => {
  const store = memoryStore()
  return { stores: [store, store] }
})

interface Client {
  disconnect(): void
}

function subject(
  clients: readonly [Client, Client],
  server: AsyncDisposable,
  make: (i: 0 | 1) => Subject['stores'][0],
) {
  return {
    stores: [make(0), make(1)] as const,
    async close() {
      for (const client of clients) client.disconnect()
      await server[Symbol.asyncDispose]()
    },
  }
}

storeContract('redisStore over ioredis 6', async () => {
  const redis = await startRedis()
  const clients = [new Redis(redis.url()), new Redis(redis.url())] as const
  return subject(clients, redis, (i) => redisStore(clients[i]))
})

storeContract('redisStore over ioredis 5 with a key prefix and autopipelining', async () => {
  const redis = await startRedis()
  const options = { keyPrefix: 'app:', enableAutoPipelining: true, lazyConnect: true }
  const clients = [new Redis5(redis.url(), options), new Redis5(redis.url(), options)] as const
  return subject(clients, redis, (i) => redisStore(clients[i]))
})

storeContract('redisStore over a cluster, with ioredis 6', async () => {
  const cluster = await startRedisCluster({ masters: 3 })
  const clients = [new Cluster(cluster.addresses), new Cluster(cluster.addresses)] as const
  return subject(clients, cluster, (i) => redisStore(clients[i]))
})

storeContract('redisStore over a cluster, with ioredis 5, a key prefix and autopipelining', async () => {
  const cluster = await startRedisCluster({ masters: 3 })
  const options = { keyPrefix: 'app:', enableAutoPipelining: true }
  const clients = [
    new Cluster5(cluster.addresses, options),
    new Cluster5(cluster.addresses, options),
  ] as const
  return subject(clients, cluster, (i) => redisStore(clients[i]))
})

storeContract('redisStore over Sentinel', async () => {
  const setup = await startSentinel()
  const make = () => new Redis({ sentinels: setup.addresses, name: setup.name })
  const clients = [make(), make()] as const
  return subject(clients, setup, (i) => redisStore(clients[i]))
})

storeContract('memcachedStore', async () => {
  const server = await startMemcached()
  const make = () => memcachedStore(server.url(), { keyPrefix: 'app:' })
  return { stores: [make(), make()] as const, close: () => server[Symbol.asyncDispose]() }
})
