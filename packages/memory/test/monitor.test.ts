import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { MemoryMonitor } from '../src/index.js'
import { closeAll, MB, stand } from './support.js'

afterEach(closeAll)

describe('a monitor', () => {
  it('M30, M31: gives everything back, a thousand times', { timeout: 120_000 }, async () => {
    const before = process.getActiveResourcesInfo().sort()
    for (let i = 0; i < 1_000; i++) {
      const monitor = new MemoryMonitor()
      monitor.sample()
      await monitor.close()
    }
    expect(process.getActiveResourcesInfo().sort()).toEqual(before)
    const { monitor, system } = stand()
    await monitor.close()
    expect(system.stopped).toBe(2) // the loop's watch and the collector's
  })

  it('closes once, stays quiet then, and keeps its last sample', async () => {
    const { monitor, pass } = stand({ health: () => 'critical' })
    pass(1_000)
    const last = monitor.sample()
    const closing = monitor.close()
    expect(monitor.close()).toBe(closing)
    await closing
    expect([monitor.level, monitor.overloaded, monitor.calm]).toEqual(['ok', false, true])
    expect(monitor.sample()).toBe(last)
    expect(monitor.stats().sample).toBe(last)
  })

  it('samples by itself and counts the requests of node:http', async () => {
    await using monitor = new MemoryMonitor({ sampleEvery: 20 })
    const server = createServer((_request, response) => response.end())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : 0
    for (let i = 0; i < 3; i++) {
      const [response] = await once(get({ port, host: '127.0.0.1', agent: false }), 'response')
      response.resume()
      await once(response, 'end')
    }
    server.close()
    expect(monitor.requests).toBeGreaterThanOrEqual(3)
    const { samples } = monitor.stats()
    await expect.poll(() => monitor.stats().samples, { timeout: 20_000 }).toBeGreaterThan(samples + 2)
    const { sample } = monitor.stats()
    for (const value of [
      sample.rss,
      sample.heapUsed,
      sample.heapLimit,
      sample.memory.limit,
      sample.memory.used,
    ]) {
      expect(value).toBeGreaterThan(MB)
    }
  })

  it('refuses options it does not know, and says which it has', () => {
    expect(() => new MemoryMonitor({ sampleEvry: 1 } as object)).toThrow(/did you mean "sampleEvery"/)
    expect(() => new MemoryMonitor({ marks: { heap: { critical: [0.9, 0.8] } } })).toThrow(
      /0 < leave <= enter/,
    )
    expect(() => new MemoryMonitor({ leak: { confidence: 2 } })).toThrow(/from 0.5 to 1/)
    expect(() => new MemoryMonitor({ snapshot: { maxFile: 1 } as object })).toThrow(/did you mean "maxFiles"/)
  })

  it('takes false for a signal', () => {
    const { monitor, system, pass } = stand({ marks: { memory: false, heap: { elevated: false } } })
    system.usage.rss = system.ram
    system.usage.heapUsed = 0.9 * system.heap
    pass(2_000)
    expect(monitor.level).toBe('ok')
  })
})
