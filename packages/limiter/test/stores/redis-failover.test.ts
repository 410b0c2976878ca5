import { setTimeout as sleep } from 'node:timers/promises'
import { type RedisCluster, startRedisCluster } from '@spillway/testkit'
import { Cluster } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { quiet, redisWorld } from '../subjects.js'
import { storeContract } from './contract.js'

/*
 * All cases once more, while each master in turn hands its slots over to its replica and becomes one itself. A planned
 * failover loses nothing, so every decision must be the same, to the last digit.
 */

let servers: RedisCluster
let failovers = 0
let isOver = false
let handing: Promise<void>

beforeAll(async () => {
  servers = await startRedisCluster({ replicas: 1 })
  handing = handOver()
})
afterAll(async () => {
  isOver = true
  await handing
  await servers[Symbol.asyncDispose]()
})

async function handOver(): Promise<void> {
  for (let i = 0; !isOver; i++) {
    const masters = await servers.masters()
    const [replica] = await servers.replicasOf(masters[i % masters.length]!)
    // Refused while it is not in sync, and not voted for so soon after the last time: then the next one has its turn.
    await replica?.command('CLUSTER', 'FAILOVER').catch(() => {})
    await sleep(300)
    if (String(await replica?.command('ROLE')).startsWith('master')) failovers++
  }
}

storeContract('a Redis Cluster whose masters change', async () => {
  const client = quiet(new Cluster(servers.addresses))
  const world = await redisWorld(client)
  return {
    ...world,
    close: async () => {
      await world.close()
      client.disconnect()
    },
  }
})

it('the masters did change', () => {
  expect(failovers).toBeGreaterThan(0)
})
