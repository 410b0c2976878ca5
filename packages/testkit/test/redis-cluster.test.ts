import { Cluster } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { eventually, startRedisCluster } from '../src/index.js'

describe('a private Redis Cluster', () => {
  it('serves keys of every slot from three masters', async () => {
    await using cluster = await startRedisCluster()
    expect(await cluster.masters()).toHaveLength(3)
    expect(cluster.nodes).toHaveLength(3)
    const client = new Cluster(cluster.addresses)
    const keys = Array.from({ length: 100 }, (_, i) => `key:${i}`)
    for (const key of keys) await client.set(key, key)
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys)
    client.disconnect()
    const sizes = await Promise.all(cluster.nodes.map((node) => node.command('DBSIZE')))
    expect(sizes.every((size) => Number(size) > 0)).toBe(true)
    expect(sizes.reduce<number>((sum, size) => sum + Number(size), 0)).toBe(100)
  })

  it('goes down with a master that has no replica, and comes back with it', async () => {
    await using cluster = await startRedisCluster()
    const [victim] = await cluster.masters()
    expect(await cluster.killMaster(victim)).toBeUndefined()
    const other = cluster.nodes.find((node) => node !== victim)
    await eventually(async () =>
      String(await other?.command('CLUSTER', 'INFO')).includes('cluster_state:fail'),
    )
    await victim?.restart()
    await cluster.waitUntilOk()
  })

  it('promotes the replica of a killed master, and of one that hands over', async () => {
    await using cluster = await startRedisCluster({ replicas: 1 })
    const [first, second] = await cluster.masters()
    const client = new Cluster(cluster.addresses)
    client.on('error', () => {})
    for (let i = 0; i < 30; i++) await client.set(`key:${i}`, i)
    const heir = await cluster.killMaster(first)
    expect(heir).not.toBe(first)
    expect(await cluster.masters()).toContain(heir)
    const next = await cluster.failover(second)
    expect(await cluster.replicasOf(next)).toEqual([second])
    for (let i = 0; i < 30; i++) await client.set(`key:${i}`, 'again')
    client.disconnect()
    await first?.restart()
    await eventually(async () => heir && (await cluster.replicasOf(heir)).includes(first!))
  })

  it('says so when there is nothing to fail over to', async () => {
    await using cluster = await startRedisCluster()
    await expect(cluster.failover()).rejects.toThrow('{ replicas: 1 }')
  })
})
