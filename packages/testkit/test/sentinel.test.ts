import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { eventually, startSentinel } from '../src/index.js'

describe('sentinels', () => {
  it('promote the replica of a killed primary, and clients follow', async () => {
    await using setup = await startSentinel()
    const first = await setup.primary()
    const client = new Redis({
      sentinels: setup.addresses,
      name: setup.name,
      sentinelRetryStrategy: () => 50,
    })
    client.on('error', () => {})
    await client.set('city', 'Lisbon')
    await client.call('WAIT', 1, 5000)
    const next = await setup.killPrimary()
    expect(next).not.toBe(first)
    expect(await setup.primary()).toBe(next)
    expect(await client.get('city')).toBe('Lisbon')
    expect(
      client.options.port === next.port || (await client.info('server')).includes(`tcp_port:${next.port}`),
    ).toBe(true)
    client.disconnect()
    await first.restart()
    await eventually(async () => String(await first.command('INFO', 'replication')).includes('role:slave'), {
      timeout: 20_000,
    })
  })

  it('agree by majority on a planned failover', async () => {
    await using setup = await startSentinel({ sentinels: 3, name: 'cities' })
    expect(setup.sentinels).toHaveLength(3)
    const second = await setup.replica()
    expect(await setup.failover()).toBe(second)
    expect(await setup.primary()).toBe(second)
  })
})
