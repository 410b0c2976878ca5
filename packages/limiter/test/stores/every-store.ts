import { type RedisServer, startRedis } from '@spillway/testkit'
import { Redis } from 'ioredis'
import { afterAll, beforeAll } from 'vitest'
import { type Answer, clusterStore, memoryStore, redisStore, type Store } from '../../src/index.js'
import { quiet } from '../subjects.js'

/** Each store that needs no server. */
export const LOCAL_STORES: Readonly<Record<string, () => Store<Answer>>> = {
  memory: () => memoryStore(),
  'the cluster store, in one process': () => clusterStore(),
}

/** Opens each kind of store, for what must hold on all of them. The test file gets a Redis server of its own. */
export function everyStore() {
  let server: RedisServer
  const clients: Redis[] = []
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(async () => {
    for (const client of clients) client.disconnect()
    await server[Symbol.asyncDispose]()
  })
  /** A client, closed after the tests of the file. */
  const redis = (): Redis => {
    const client = quiet(new Redis(server.port, server.host))
    clients.push(client)
    return client
  }
  return {
    redis,
    flush: () => server.command('FLUSHALL'),
    stores: { ...LOCAL_STORES, Redis: () => redisStore(redis(), { deadline: '20s' }) } as typeof LOCAL_STORES,
  }
}
