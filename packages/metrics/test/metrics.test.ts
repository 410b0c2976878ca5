import diagnosticsChannel from 'node:diagnostics_channel'
import { Counter, Registry } from 'prom-client'
import { afterEach, describe, expect, it } from 'vitest'
import { Metrics, type MetricsOptions } from '../src/index.js'

const open: Metrics[] = []
const create = (options?: MetricsOptions): Metrics => {
  const metrics = new Metrics(options)
  open.push(metrics)
  return metrics
}
afterEach(() => Promise.all(open.splice(0).map((metrics) => metrics.close())))

const line = async (metrics: Metrics, start: string): Promise<string | undefined> =>
  (await metrics.expose()).body.split('\n').find((one) => one.startsWith(start))

describe('Metrics', () => {
  it('exports requests, the process and the event loop in the Prometheus text format', async () => {
    const metrics = create({ labels: { app: 'shop' } })
    metrics.requests.begin()({ method: 'GET', route: '/cities/:id', status: 200 })
    const { contentType, body } = await metrics.expose()
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(body).toContain(
      'http_request_duration_seconds_count{app="shop",method="GET",route="/cities/:id",status="200"} 1',
    )
    for (const name of [
      'process_cpu_seconds_total',
      'nodejs_eventloop_lag_p99_seconds',
      'nodejs_heap_size_used_bytes',
    ]) {
      expect(body).toContain(`\n${name}{app="shop"`)
    }
    expect(body).toMatch(/spillway_process_resident_memory_bytes\{worker="0",app="shop"\} \d{7,}/)
  })

  it('counts a request as in flight until it ends', async () => {
    const metrics = create()
    const end = metrics.requests.begin()
    expect(await line(metrics, 'http_requests_in_flight')).toBe('http_requests_in_flight 1')
    end({ method: 'GET', route: '/', status: 200 })
    expect(await line(metrics, 'http_requests_in_flight')).toBe('http_requests_in_flight 0')
    expect(await line(metrics, 'http_requests_started_total')).toBe('http_requests_started_total 1')
  })

  it('keeps the number of routes bounded when a naming function returns paths', async () => {
    const metrics = create({ processMetrics: false, events: false })
    for (let i = 0; i < 1_500; i++)
      metrics.requests.begin()({ method: 'GET', route: `/cities/${i}`, status: 200 })
    const { body } = await metrics.expose()
    expect(body.match(/http_request_duration_seconds_count\{/g)).toHaveLength(1_001)
    expect(body).toContain(
      'http_request_duration_seconds_count{method="GET",route="(other)",status="200"} 500',
    )
  })

  it('reads each source anew at every scrape, and adds up two of one name', async () => {
    const metrics = create()
    let hits = 1
    const schema = { counters: ['hits'] }
    metrics.watch('shop', { stats: () => ({ hits, size: 10 }) }, { name: 'users', schema })
    metrics.watch('shop', { stats: () => ({ hits: 5, size: 1 }) }, { name: 'users' })
    metrics.watch('shop', { stats: () => ({ hits: 100 }) }, { name: 'carts' })
    hits = 2
    const { body } = await metrics.expose()
    expect(body).toContain('# TYPE spillway_shop_hits_total counter')
    expect(body).toContain('spillway_shop_hits_total{name="users"} 7')
    expect(body).toContain('spillway_shop_hits_total{name="carts"} 100')
    expect(body).toContain('# TYPE spillway_shop_size gauge')
    expect(body).toContain('spillway_shop_size{name="users"} 11')
    expect(body).toContain('spillway_sources{kind="shop"} 3')
  })

  it('scrapes on when a source fails, and forgets a source that is no longer watched', async () => {
    const metrics = create()
    const failing = { stats: (): object => ({ n: 1 }) }
    metrics.watch('bad', failing)
    const unwatch = metrics.watch('good', { stats: () => ({ n: 2 }) })
    failing.stats = () => {
      throw new Error('gone')
    }
    expect((await metrics.expose()).body).toContain('spillway_good_n{name="default"} 2')
    unwatch()
    expect((await metrics.expose()).body).not.toContain('spillway_good_n{')
  })

  it('works on a registry that the app already has, and leaves it standing', async () => {
    const registry = new Registry()
    const orders = new Counter({ name: 'orders_total', help: 'Orders', registers: [registry] })
    const metrics = create({ registry })
    orders.inc()
    expect((await metrics.expose()).body).toContain('orders_total 1')
    await metrics.close()
    expect(registry.getSingleMetric('orders_total')).toBe(orders)
  })

  it('can be made twice in one process, each with its own figures', async () => {
    const [first, second] = [create(), create()]
    first.requests.begin()
    expect(await line(first, 'http_requests_in_flight')).toBe('http_requests_in_flight 1')
    expect(await line(second, 'http_requests_in_flight')).toBe('http_requests_in_flight 0')
  })

  it('says what it holds, and closes once', async () => {
    const metrics = create()
    metrics.watch('shop', { stats: () => ({ n: 1 }) })
    expect(metrics.stats()).toMatchObject({ sources: 1, collected: false })
    expect(metrics.close()).toBe(metrics.close())
    await metrics.close()
    expect(metrics.stats()).toEqual({ series: 0, sources: 0, collected: false })
  })

  it('listens to no channel any more after it was closed', async () => {
    const { EVENTS } = await import('../src/recording/events.js')
    const names = Object.keys(EVENTS)
    expect(names.length).toBeGreaterThan(0)
    const metrics = create()
    expect(names.every((name) => diagnosticsChannel.hasSubscribers(name))).toBe(true)
    await metrics.close()
    expect(names.some((name) => diagnosticsChannel.hasSubscribers(name))).toBe(false)
  })
})

describe('misuse', () => {
  it.each<[unknown, string]>([
    [{ lables: {} }, 'Metrics has no option "lables"; did you mean "labels"?'],
    [{ labels: { le: 'x' } }, 'Metrics option "labels.le" must be a valid label name'],
    [{ labels: { '0a': 'x' } }, 'Metrics option "labels.0a" must be a valid label name'],
    [{ labels: { a: 1 } }, 'Metrics option "labels.a" must be a string, not 1'],
    [{ buckets: [] }, 'Metrics option "buckets" must be an array of at least 1'],
    [{ buckets: [1, 1] }, 'Metrics option "buckets" must be ascending seconds'],
    [{ timeout: 'soon' }, 'Metrics option "timeout" must be a duration'],
    [{ registry: {} }, 'Metrics option "registry" must be a prom-client Registry'],
  ])('refuses %j', (options, message) => {
    expect(() => new Metrics(options as MetricsOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_METRICS_OPTION', message: expect.stringContaining(message) }),
    )
  })

  it('refuses a source without stats() and a kind that is no name', () => {
    const metrics = create()
    const code = 'ERR_METRICS_SOURCE'
    expect(() => metrics.watch('cache', {} as never)).toThrow(expect.objectContaining({ code }))
    expect(() => metrics.watch('My Cache', { stats: () => ({}) })).toThrow(expect.objectContaining({ code }))
  })
})
