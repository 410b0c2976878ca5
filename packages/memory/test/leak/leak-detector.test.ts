import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Leak } from '../../src/index.js'
import { APPS } from '../fixtures/apps.mjs'
import { closeAll, FakeSystem, MB, stand } from '../support.js'

const run = promisify(execFile)
const fixture = fileURLToPath(new URL('../fixtures/detect.mjs', import.meta.url))

interface Run {
  readonly leaks: readonly (Leak & { readonly calledAfter: number })[]
  readonly forcedCollections: number
}

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'memory-detector-'))
})
afterAll(async () => {
  await closeAll()
  await rm(directory, { recursive: true, force: true })
})

async function watch(name: string, requests: number): Promise<Run> {
  const options = { snapshot: { directory } }
  const { stdout } = await run(process.execPath, [fixture, name, String(requests), JSON.stringify(options)])
  return JSON.parse(stdout) as Run
}

const names = Object.keys(APPS)
const leaking = names.filter((name) => APPS[name]?.leaks !== false)
const sound = names.filter((name) => APPS[name]?.leaks === false)

/** A whole app each, in a process of its own, with a real heap and all options by default; the clock goes by requests. */
const PATIENCE = 280_000
/** One minute at 1,000 requests per second. */
const WARMUP = 60_000
/** Apps of 200 B per request, each hiding it in its own way. */
const FIGURE = ['leak200', 'leakRare', 'leakBehindCache', 'leakInWave', 'buffers']

describe.concurrent('apps that do not leak', () => {
  it.each(sound)('M24: %s: no alarm in 300,000 requests', { timeout: PATIENCE }, async (name) => {
    expect((await watch(name, 300_000)).leaks).toEqual([])
  })
})

describe.concurrent('apps that leak', () => {
  it.each(leaking)('M23: %s: is called, with its kind and the code', { timeout: PATIENCE }, async (name) => {
    const { leaks } = await watch(name, 400_000)
    expect(leaks.length).toBeGreaterThan(0)
    const leak = leaks[0]!
    const kinds = name === 'handles' ? ['heap', 'native'] : [APPS[name]?.leaks]
    expect(kinds).toContain(leak.kind)
    expect(leak.state).toBe('confirmed')
    expect(leak.confidence).toBeGreaterThan(0.99)
    const most = FIGURE.includes(name) ? 200_000 : 400_000
    expect(leak.calledAfter - WARMUP).toBeLessThan(most)
    if (leak.kind === 'native') return
    const [site] = leak.sites
    expect(`${site?.place}`).toContain('apps.mjs')
    expect(site?.share).toBeGreaterThan(0.5)
    expect(leak.files.some((file) => file.endsWith('.heapprofile'))).toBe(true)
  })
})

describe('the detector', () => {
  const leak = { warmup: '10s', minRequests: 1_000, profile: false } as const

  /** Twenty minutes, a sample a second, 100 requests each. */
  function serve(of: ReturnType<typeof stand>, each: (second: number) => void, seconds = 1_200): void {
    for (let second = 0; second < seconds; second++) {
      of.monitor.countRequest(100)
      each(second)
      of.clock.advance(1_000)
      of.monitor.sample()
    }
  }

  it('M18: resident memory that grows beside a flat heap is native, with advice and no snapshot', () => {
    const of = stand({ leak, snapshot: { onLeak: true } })
    serve(of, (second) => {
      of.system.usage.rss = (200 + second * 0.2) * MB
      if (second % 20 === 0) of.system.liveSizes.push({ heap: 30 * MB, external: 2 * MB })
    })
    expect(of.monitor.leaks.map(({ kind, state }) => [kind, state])).toEqual([['native', 'confirmed']])
    expect(of.monitor.leaks[0]?.advice).toContain('MALLOC_ARENA_MAX')
    expect(of.monitor.stats().snapshots).toBe(0)
    expect(of.monitor.leaks[0]?.bytesPerHour).toBeCloseTo(0.2 * 3_600 * MB, -7)
  })

  it('M17: growing Buffers are external, whatever the heap does', () => {
    const of = stand({ leak })
    serve(of, (second) => {
      if (second % 20 === 0) of.system.liveSizes.push({ heap: 30 * MB, external: (2 + second * 0.1) * MB })
    })
    expect(of.monitor.leaks.map(({ kind }) => kind)).toEqual(['external'])
  })

  it('M20: ten minutes without a full collection: the live size is asked for, and it has not moved', () => {
    const system = new FakeSystem()
    system.alive = { heap: 30 * MB, external: 2 * MB }
    const of = stand({ leak }, system)
    serve(
      of,
      (second) => {
        system.usage.heapUsed = (50 + second * 0.5) * MB // promoted garbage
        system.usage.rss = system.usage.heapUsed + 80 * MB
        system.usage.heapTotal = system.usage.heapUsed + 10 * MB
      },
      600,
    )
    expect(of.monitor.leaks).toEqual([])
    const { forcedCollections } = of.monitor.stats()
    expect(forcedCollections).toBeGreaterThan(0)
    expect(forcedCollections).toBeLessThan(20) // ever more seldom: they find nothing
  })

  it('forces no collection when told not to, when it would be long, or while memory is critical', () => {
    const growing = (options: object, system = new FakeSystem()) => {
      const of = stand({ leak: { ...leak, ...options } }, system)
      system.alive = { heap: 30 * MB, external: 2 * MB }
      serve(of, (second) => (system.usage.heapUsed = (50 + second) * MB), 200)
      return of.monitor.stats().forcedCollections
    }
    expect(growing({ forceCollections: false })).toBe(0)
    expect(growing({ maxPause: 20 })).toBe(0)
    const full = new FakeSystem()
    full.usage.rss = full.ram
    expect(growing({}, full)).toBe(0)
    expect(growing({})).toBeGreaterThan(0)
  })

  it('says how long the limit is away', () => {
    const of = stand({ leak })
    of.system.heap = 1_024 * MB
    serve(of, (second) => {
      of.system.usage.heapUsed = 400 * MB
      if (second % 20 === 0) of.system.liveSizes.push({ heap: (30 + second * 0.1) * MB, external: 2 * MB })
    })
    const [found] = of.monitor.leaks
    const alive = 30 + 1_180 * 0.1
    expect((found?.timeToLimit ?? 0) / 1_000).toBeCloseTo((1_024 - alive) / 0.1, -3)
  })

  it('is off with leak: false', () => {
    const of = stand({ leak: false })
    serve(of, (second) => of.system.liveSizes.push({ heap: second * MB, external: 0 }), 300)
    expect(of.monitor.leaks).toEqual([])
  })
})
