import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { merge } from '../../src/cluster/merge.js'
import { Metrics, requestListener } from '../../src/index.js'

/** How figures of several sources, processes and readers become one. */

const open: Metrics[] = []
const create = (): Metrics => {
  const metrics = new Metrics({ processMetrics: false, events: false })
  open.push(metrics)
  return metrics
}
afterEach(() => Promise.all(open.splice(0).map((metrics) => metrics.close())))

const body = async (metrics: Metrics) => (await metrics.expose()).body
const cacheOf = (hits: number, misses: number) => ({
  stats: () => ({
    l1: { hits, hitRatio: hits / (hits + misses), entries: 10 },
    l2: undefined,
    misses,
    joins: 0,
  }),
})

describe('T5 figures of several sources and workers', () => {
  it('T5 two caches of one name, hit ratios 0.5 and 0.9: the ratio of their counters, not their sum', async () => {
    const metrics = create()
    metrics.watch('cache', cacheOf(50, 50))
    metrics.watch('cache', cacheOf(900, 100))
    const text = await body(metrics)
    expect(text).toContain(`spillway_cache_l1_hit_ratio{name="default"} ${950 / 1_100}`)
    expect(text).toContain('spillway_cache_l1_entries{name="default"} 20')
  })

  it('T5 two workers, hit ratios 0.5 and 0.9: the ratio of their counters, not the mean', async () => {
    const [one, other] = [create(), create()]
    one.watch('cache', cacheOf(1, 1))
    other.watch('cache', cacheOf(90, 10))
    const processes = await Promise.all([one, other].map(async (metrics) => (await metrics.gather()).series))
    const ratio = merge(processes).find(({ name }) => name === 'spillway_cache_l1_hit_ratio')
    expect(ratio?.values).toEqual([{ labels: { name: 'default' }, value: 91 / 102 }])
  })

  it('T5 live heap and its limit are those of one process: neither is a sum', async () => {
    const sample = (heapLive: number) => ({
      stats: () => ({ sample: { heapLive, heapLimit: 100, memory: { used: heapLive, limit: 200 } } }),
    })
    const [one, other] = [create(), create()]
    one.watch('memory', sample(60))
    other.watch('memory', sample(70))
    const processes = await Promise.all([one, other].map(async (metrics) => (await metrics.gather()).series))
    const value = (name: string) =>
      merge(processes).find((series) => series.name === `spillway_memory_sample_${name}`)?.values[0]?.value
    expect([value('heap_live'), value('heap_limit'), value('memory_used'), value('memory_limit')]).toEqual([
      70, 100, 70, 200,
    ])
  })

  it('T5 ages and flags: the greatest, or the least', async () => {
    const metrics = create()
    const schema = { greatest: ['age', 'broken'], least: ['ready'], averages: ['busy'], sums: ['size'] }
    metrics.watch(
      'shop',
      { stats: () => ({ age: 5, broken: false, ready: true, busy: 0.2, size: 1 }) },
      { schema },
    )
    metrics.watch('shop', { stats: () => ({ age: 9, broken: true, ready: false, busy: 0.4, size: 2 }) })
    const text = await body(metrics)
    for (const [name, value] of Object.entries({ age: 9, broken: 1, ready: 0, size: 3 })) {
      expect(text).toContain(`spillway_shop_${name}{name="default"} ${value}`)
    }
    expect(text).toMatch(/spillway_shop_busy\{name="default"\} 0\.30*\d*/)
  })
})

describe('T3 sources that fail', () => {
  it('T3 one that throws once is as it was, and its failure is counted', async () => {
    const metrics = create()
    const source = { stats: (): object => ({ n: 5, level: 3 }) }
    metrics.watch('shop', source, { schema: { counters: ['n'] } })
    source.stats = () => {
      throw new Error('not now')
    }
    const text = await body(metrics)
    expect(text).toContain('spillway_shop_n_total{name="default"} 5')
    expect(text).toContain('spillway_shop_level{name="default"} 3')
    expect(text).toContain('spillway_source_errors_total{kind="shop",name="default"} 1')
    source.stats = () => ({ n: 7, level: 1 })
    expect(await body(metrics)).toContain('spillway_shop_n_total{name="default"} 7')
  })

  it('T3 counters never fall: not when a source begins anew, goes, leaves them out or is replaced', async () => {
    const metrics = create()
    const source = { stats: (): object => ({ n: 5 }) }
    const unwatch = metrics.watch('shop', source, { schema: { counters: ['n'] } })
    const total = async () =>
      Number(/spillway_shop_n_total\{name="default"\} (\d+)/.exec(await body(metrics))?.[1])
    source.stats = () => ({ n: 1 })
    expect(await total()).toBe(6)
    source.stats = () => ({})
    expect(await total()).toBe(6)
    source.stats = () => ({ n: 3 })
    expect(await total()).toBe(8)
    unwatch()
    expect(await total()).toBe(8)
    metrics.watch('shop', { stats: () => ({ n: 2 }) })
    expect(await total()).toBe(10)
  })

  it('T3 nonsense of a source breaks no scrape, and leaves its last figures', async () => {
    const circle: Record<string, unknown> = { n: 9 }
    circle.self = circle
    const nonsense: unknown[] = [
      undefined,
      null,
      7,
      'n',
      Promise.reject(new Error('late')),
      {
        get n() {
          throw new Error('no')
        },
      },
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error('no')
          },
        },
      ),
      { n: Number.NaN },
      { n: -5 },
      { tasks: { a: { size: 1 } }, tasks_size: 2 },
      circle,
    ]
    for (const wrong of nonsense) {
      const metrics = create()
      const source = { stats: (): unknown => ({ n: 5 }) }
      metrics.watch('shop', source as never, { schema: { counters: ['n'], records: { tasks: 'task' } } })
      metrics.watch('good', { stats: () => ({ n: 1 }) })
      source.stats = () => wrong
      const text = await body(metrics)
      expect(Number(/spillway_shop_n_total\{name="default"\} (\d+)/.exec(text)?.[1])).toBeGreaterThanOrEqual(
        5,
      )
      expect(text).toContain('spillway_good_n{name="default"} 1')
    }
  })

  it('T3 a source with figures without end is cut, and a scrape is still answered', async () => {
    const metrics = create()
    metrics.watch('shop', {
      stats: () => Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`figure${i}`, i])),
    })
    const text = await body(metrics)
    expect(text.match(/^spillway_shop_/gm)!.length).toBeLessThanOrEqual(5_000)
    expect(text).toContain('spillway_metrics_dropped_total{metric="spillway_shop_figures"}')
  })

  it('S8 any snapshot at all can be scraped', async () => {
    await fc.assert(
      fc.asyncProperty(fc.anything(), fc.anything(), async (first, second) => {
        const metrics = new Metrics({ processMetrics: false, events: false })
        let snapshot = first
        metrics.watch('shop', { stats: () => snapshot as object })
        snapshot = second
        expect((await metrics.expose()).body).toContain('spillway_sources{kind="shop"} 1')
        await metrics.close()
      }),
      { numRuns: 100 },
    )
  })
})

describe('T4 two readers', () => {
  it('T4 see the same block of the event loop, however often each of them reads', async () => {
    const metrics = new Metrics({ events: false })
    open.push(metrics)
    // The block is as long as the process's own measurement says; the test waits for that one to have seen it.
    const witness = monitorEventLoopDelay({ resolution: 10 })
    witness.enable()
    await expect.poll(() => witness.count).toBeGreaterThan(2)
    const end = performance.now() + 300
    while (performance.now() < end) {}
    await expect.poll(() => witness.max).toBeGreaterThan(250e6)
    witness.disable()
    const value = (text: string, name: string) =>
      Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1])
    for (let reader = 0; reader < 4; reader++) {
      const text = await body(metrics)
      expect(value(text, 'spillway_process_event_loop_delay_seconds')).toBeGreaterThan(0.25)
      expect(value(text, 'nodejs_eventloop_lag_max_seconds')).toBeGreaterThan(0.25)
      expect(value(text, 'spillway_process_event_loop_busy_seconds_total')).toBeGreaterThan(0.25)
      expect(value(text, 'spillway_process_cpu_seconds_total')).toBeGreaterThan(0.1)
    }
  })
})

describe('S12 scrapes of one second', () => {
  it('S12 share one gathering: the sources are read once', async () => {
    const metrics = create()
    let reads = 0
    metrics.watch('shop', { stats: () => ({ reads: ++reads }) })
    const server = createServer(requestListener(metrics, { freshFor: '1m' })).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
    const before = reads
    const all = await Promise.all(Array.from({ length: 10 }, async () => (await fetch(url)).text()))
    for (let i = 0; i < 10; i++) all.push(await (await fetch(url)).text())
    expect(reads).toBe(before + 1)
    expect(new Set(all).size).toBe(1)
    server.closeAllConnections()
    server.close()
  })
})
