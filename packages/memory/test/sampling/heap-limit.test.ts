import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { HeapForecast } from '../../src/sampling/heap-forecast.js'
import { type HeapSetup, youngGeneration } from '../../src/sampling/heap-limit.js'
import { NODES } from '../nodes.js'
import { closeAll, FakeSystem, GB, MB, stand } from '../support.js'

afterEach(closeAll)

const V8_OF = { 20: '11.3.244.8-node.38', 22: '12.4.254.21-node.56', 24: '13.6.233.17-node.44' } as const

describe('M40: what of V8’s limit is the old generation', () => {
  // `whole` is what real processes on machines and in control groups of such sizes tell.
  it.each([
    [20, 24 * GB, '', 4_144, 4_096],
    [20, 24 * GB, '--max-old-space-size=128', 176, 128],
    [22, 24 * GB, '--max-old-space-size=256', 304, 256],
    [24, 24 * GB, '--max-old-space-size=256', 448, 256],
    [24, 24 * GB, '--max_old_space_size 512', 704, 512],
    [24, 512 * MB, '--max-old-space-size=300', 303, 300],
    [20, 24 * GB, '--max-old-space-size=256 --max-semi-space-size=64', 448, 256],
    [20, 24 * GB, '--max-old-space-size=100 --max-old-space-size=512', 560, 512],
    [24, 24 * GB, '--max-old-space-size=300 --max-heap-size=200', 303, 300],
    [20, 24 * GB, '--max-semi-space-size=8', 4_120, 4_096],
    [24, 24 * GB, '--max-semi-space-size=64', 4_288, 4_096],
    [20, 24 * GB, '--max-heap-size=256', 256, 253],
    [20, 24 * GB, '--max-heap-size=600', 600, 576],
    [24, 24 * GB, '--max-heap-size=600', 600, 504],
    [24, 24 * GB, '--max-heap-size=200 --max-semi-space-size=16', 200, 152],
    [24, 24 * GB, '--max-old-space-size-percentage=10', 2_602, 2_410],
    [20, 256 * MB, '', 259, 256],
    [20, 768 * MB, '', 396, 384],
    [20, GB, '', 524, 512],
    [20, 1.5 * GB, '', 792, 768],
    [22, 2 * GB, '', 1_048, 1_024],
    [22, 8 * GB, '', 2_096, 2_048],
    [24, 512 * MB, '', 259, 256],
    [24, 768 * MB, '', 432, 384],
    [24, GB, '', 560, 512],
    [24, 2 * GB, '', 1_120, 1_024],
    [24, 4 * GB, '', 2_240, 2_048],
    [24, 16 * GB, '', 4_288, 4_096],
  ] as const)('Node %s, %s bytes, %s: %s MB, of which %s', (node, memory, flags, whole, old) => {
    const setup = { whole: whole * MB, args: flags.split(' '), thread: {}, memory, version: V8_OF[node] }
    expect((setup.whole - youngGeneration(setup)) / MB).toBe(old)
  })

  it.each([
    [24, {}, '', 4_288, 4_096],
    [20, { maxYoungGenerationSizeMb: 48 }, '', 148, 100],
    [24, { maxYoungGenerationSizeMb: 192 }, '', 292, 100],
    [24, { maxYoungGenerationSizeMb: 10 }, '', 4_108, 4_096],
    [20, { maxYoungGenerationSizeMb: 5 }, '', 70, 64],
    [20, { maxYoungGenerationSizeMb: 5 }, '--max-old-space-size=256', 262, 256],
    [24, { maxYoungGenerationSizeMb: 10 }, '--max-semi-space-size=8', 124, 100],
  ] as const)(
    'in a worker thread: Node %s, %o, %s: %s MB, of which %s',
    (node, thread, flags, whole, old) => {
      const setup: HeapSetup = {
        whole: whole * MB,
        args: flags.split(' '),
        thread,
        memory: 24 * GB,
        version: V8_OF[node],
      }
      expect((setup.whole - youngGeneration(setup)) / MB).toBe(old)
    },
  )

  it('is never less than nothing, whatever the flags say', () => {
    const of = (flags: string) =>
      youngGeneration({ whole: 64 * MB, args: [flags], thread: {}, memory: GB, version: V8_OF[24] })
    for (const flags of [
      '--max-old-space-size=9999',
      '--max-semi-space-size=9999',
      '--max-old-space-size=x',
      '--max-old-space-size=0',
    ]) {
      expect(of(flags)).toBeGreaterThanOrEqual(0)
      expect(of(flags)).toBeLessThan(64 * MB)
    }
  })
})

describe('M40: the forecast of a heap that grows', () => {
  const of = (...left: readonly (readonly [at: number, bytes: number])[]) => {
    const forecast = new HeapForecast()
    for (const [at, bytes] of left) forecast.add(bytes, at)
    return forecast
  }

  it('goes on as the last three collections did', () => {
    expect(of([0, 60], [1_000, 70], [2_000, 80]).ahead(80, 100, 2_000)).toBe(130)
  })

  it('fades when no collection follows', () => {
    const forecast = of([0, 60], [1_000, 70], [2_000, 80])
    expect(forecast.ahead(80, 100, 10_000)).toBe(90)
    expect(forecast.ahead(80, 100, 100_000)).toBe(81)
  })

  it('says nothing of a heap with room, of one step, of a sawtooth', () => {
    expect(of([0, 40], [1_000, 50], [2_000, 60]).ahead(60, 100, 2_000)).toBe(60)
    expect(of([0, 60], [1_000, 80]).ahead(80, 100, 1_000)).toBe(80)
    expect(of([0, 70], [1_000, 80], [2_000, 72], [3_000, 80]).ahead(80, 100, 3_000)).toBe(80)
  })

  it('takes what one look finds for one collection', () => {
    expect(of([0, 60], [1_000, 70], [1_000, 75], [1_000, 80]).ahead(80, 100, 1_000)).toBe(80)
  })
})

describe('M40: a heap that will be full within seconds', () => {
  it('is critical at the first sample that says so, and nothing else is', () => {
    const system = new FakeSystem()
    system.heap = 100 * MB
    const { monitor, pass } = stand({}, system)
    const collect = (left: number) => {
      system.usage.heapUsed = left * MB
      system.liveSizes = [{ heap: left * MB, external: 0 }]
      pass(1_000)
      return monitor.level
    }
    expect([collect(40), collect(60), collect(75)]).toEqual(['ok', 'ok', 'critical'])
    expect(monitor.reasons).toMatchObject([{ signal: 'heap', value: 75 * MB, limit: 100 * MB }])
  })

  it('which a heap that is as full and does not grow is not', () => {
    const system = new FakeSystem()
    system.heap = 100 * MB
    const { monitor, pass } = stand({}, system)
    for (const left of [75, 74, 76, 75, 76, 74]) {
      system.usage.heapUsed = left * MB
      system.liveSizes = [{ heap: left * MB, external: 0 }]
      pass(1_000)
      expect(monitor.level).toBe('ok')
    }
  })
})

const fixture = fileURLToPath(new URL('../fixtures/fill-heap.mjs', import.meta.url))

interface Told {
  readonly level?: string
  readonly asked?: true
  readonly heapLive?: number
  readonly heapLimit?: number
  readonly died?: string
}

/** Seconds in which the heap would be full: a slow leak, and one that leaves a few samples. */
const PACE = { slow: 20, fast: 4 } as const

async function fill(node: string, flags: readonly string[], mb: number, seconds: number, limits?: object) {
  const args = [String(Math.ceil(mb / seconds)), ...(limits === undefined ? [] : [JSON.stringify(limits)])]
  const child = fork(fixture, args, {
    execPath: node,
    execArgv: [...flags],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const told: Told[] = []
  child.on('message', (message) => told.push(message as Told))
  const [code] = await once(child, 'exit')
  return { code: code as number | null, told }
}

describe('M40: a heap that leaks asks for its successor before its end', () => {
  const sizes = NODES.length === 1 ? [128] : [128, 256, 512, 1_024, 2_048, 4_096]
  for (const { path: node, version } of NODES) {
    for (const size of sizes) {
      for (const pace of ['slow', 'fast'] as const) {
        it(`Node ${version}, ${size} MB, ${pace}`, { timeout: 300_000 }, async () => {
          const { code, told } = await fill(node, [`--max-old-space-size=${size}`], size, PACE[pace])
          expect(told.map(({ level, asked }) => level ?? asked)).toContain('critical')
          expect(told.at(-1)).toMatchObject({ asked: true, heapLimit: size * MB })
          expect(code).toBe(0)
        })
      }
    }

    it(`Node ${version}, a worker thread of 100 MB`, { timeout: 300_000 }, async () => {
      const { told } = await fill(node, [], 100, PACE.slow, { maxOldGenerationSizeMb: 100 })
      expect(told.at(-1)).toMatchObject({ asked: true, heapLimit: 100 * MB })
    })

    it(`Node ${version}, --max-heap-size=200`, { timeout: 300_000 }, async () => {
      const { told } = await fill(node, ['--max-heap-size=200'], 200, PACE.slow)
      expect(told.at(-1)).toMatchObject({ asked: true })
    })
  }
})
