import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { MemoryMonitor, reportHtml, reportText } from '../src/index.js'
import { V8GcMeter } from '../src/sampling/gc-meter.js'
import { NodeLoopMeter } from '../src/sampling/loop-meter.js'
import { realSystem } from '../src/sampling/system.js'
import { closeAll, MB, stand } from './support.js'

afterEach(closeAll)

function block(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

describe('the event loop', () => {
  it('M7: utilisation is that of the last interval', async () => {
    const loop = new NodeLoopMeter()
    try {
      await sleep(400)
      loop.read()
      await sleep(60)
      loop.read()
      block(200)
      expect(loop.read().utilization).toBeGreaterThan(0.8)
    } finally {
      loop.stop()
    }
  })

  it('M9: a block that begins right after a reading is seen', async () => {
    const loop = new NodeLoopMeter()
    try {
      await sleep(60)
      for (let round = 0; round < 3; round++) {
        loop.read()
        block(150)
        await sleep(60)
        expect(loop.read().max).toBeGreaterThan(100)
        loop.read() // out of turn: must not swallow the next block
      }
    } finally {
      loop.stop()
    }
  })

  it('M10: before the first value, and when idle, the figures are small numbers', async () => {
    const loop = new NodeLoopMeter()
    try {
      expect(loop.read()).toMatchObject({ p50: 0, p99: 0, max: 0 })
      await sleep(100)
      const { p50, p99, max, utilization } = loop.read()
      for (const value of [p50, p99, max, utilization]) expect(value).toBeGreaterThanOrEqual(0)
      expect(p50).toBeLessThan(1_000) // not 9.2e18, and without the resolution
    } finally {
      loop.stop()
    }
  })
})

describe('collections', () => {
  it('M30: each one is counted, with its pause, and leaves a live', () => {
    const collections = new V8GcMeter()
    try {
      for (let i = 0; i < 5; i++) realSystem.collectGarbage()
      const liveSizes = collections.drain()
      expect(collections.byKind.major.count).toBeGreaterThanOrEqual(5)
      expect(liveSizes.length).toBe(collections.byKind.major.count)
      expect(collections.byKind.major.longest).toBeGreaterThan(0)
      expect(liveSizes.at(-1)!.heap).toBeGreaterThan(MB)
      expect(collections.drain().length).toBeLessThan(5)
    } finally {
      collections.stop()
    }
  })

  it('M17: Buffers are in the live', () => {
    const collections = new V8GcMeter()
    try {
      realSystem.collectGarbage()
      collections.drain()
      const before = collections.live!.external
      const kept = Array.from({ length: 40 }, () => Buffer.alloc(MB))
      realSystem.collectGarbage()
      collections.drain()
      expect(collections.live!.external - before).toBeGreaterThanOrEqual(39 * MB)
      expect(kept.length).toBe(40)
    } finally {
      collections.stop()
    }
  })
})

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

describe('the report', () => {
  it('is plain data, text, and HTML that no name can break out of', () => {
    const { monitor, system } = stand()
    system.resources = ['Timeout', 'TCPSocketWrap', 'Timeout', '<script>alert(1)</script>']
    const report = monitor.report()
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
    expect(report.resources).toMatchObject({ Timeout: 2, TCPSocketWrap: 1 })
    expect(report.spaces.length).toBeGreaterThan(3)
    expect(report.listeners.process).toBeGreaterThan(0)
    const text = reportText(report)
    expect(text).toContain('All is well')
    expect(text).toContain('100.0 MB of 8.0 GB in use (ram)')
    const html = reportHtml(report)
    expect(html).toContain('&lt;script&gt;')
    expect(html).not.toContain('<script>')
  })
})
