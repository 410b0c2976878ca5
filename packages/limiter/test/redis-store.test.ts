import { type RedisServer, startRedis } from '@spillway/testkit'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { afterAll, beforeAll } from 'vitest'
import type { RedisClient } from '../src/index.js'
import { storeContract } from './contract.js'
import { quiet, redisWorld } from './subjects.js'

let server: RedisServer
const clients: { disconnect(): void }[] = []

beforeAll(async () => {
  server = await startRedis()
})
afterAll(async () => {
  for (const client of clients) client.disconnect()
  await server[Symbol.asyncDispose]()
})

function connect<C extends RedisClient & { disconnect(): void }>(client: C): C {
  clients.push(client)
  return quiet(client)
}

storeContract('Redis', () => redisWorld(connect(new Redis(server.port, server.host))))
storeContract('Redis, by ioredis 5', () => redisWorld(connect(new Redis5(server.port, server.host))))
