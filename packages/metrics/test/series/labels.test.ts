import diagnosticsChannel from 'node:diagnostics_channel'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { merge } from '../../src/cluster/merge.js'
import { Metrics, requestListener } from '../../src/index.js'
import { registryOf } from '../../src/series/series.js'

/** What a client or an app puts into labels: names of routes, of pools and of tasks. */

const open: Metrics[] = []
const create = (): Metrics => {
  const metrics = new Metrics({ processMetrics: false })
  open.push(metrics)
  return metrics
}
afterEach(() => Promise.all(open.splice(0).map((metrics) => metrics.close())))

/** The samples of a scrape as Prometheus reads its bytes; fails for what it would refuse. */
function samplesOf(body: string): Map<string, number> {
  const samples = new Map<string, number>()
  for (const line of Buffer.from(body).toString().split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/s.exec(line) ?? []
    expect(name, line).toBeDefined()
    const rest = labels.replace(/[a-zA-Z_]\w*="(?:[^"\\]|\\[\\"n])*"(?:,|$)/g, '')
    expect(rest, line).toBe('')
    const sample = `${name}{${labels}}`
    expect(samples.has(sample), `twice: ${sample}`).toBe(false)
    samples.set(sample, Number(value))
  }
  return samples
}

const request = (metrics: Metrics, route: string, status = 200): void =>
  metrics.requests.begin()({ method: 'GET', route, status })
const counts = (body: string): [string, number][] =>
  [...samplesOf(body)].filter(([name]) => name.startsWith('http_request_duration_seconds_count'))

const HOSTILE = [
  'a\nb',
  'a"b',
  'a\\',
  'a\\nb',
  '}',
  '{',
  '",status="200',
  ' ',
  '',
  'a,b',
  'é',
  '🏙',
  '\u0000',
  '\r',
  '# HELP x',
]

describe('S8 the text of a scrape', () => {
  it('S8 holds any route name: quotes, newlines, backslashes, braces', async () => {
    const metrics = create()
    for (const route of HOSTILE) request(metrics, route)
    const found = counts((await metrics.expose()).body)
    expect(found).toHaveLength(HOSTILE.length)
    expect(found.every(([, count]) => count === 1)).toBe(true)
  })

  it('S8 names no series twice: halves of surrogate pairs, which UTF-8 writes as one character', async () => {
    const metrics = create()
    for (const route of ['/\ud800', '/\ud801', '/\udfff']) request(metrics, route)
    expect(counts((await metrics.expose()).body)).toEqual([[expect.stringContaining('/\ufffd'), 3]])
  })

  it('S8 stays small when a naming function returns long paths', async () => {
    const metrics = create()
    for (let i = 0; i < 10_000; i++) request(metrics, `/${i % 7}/${'x'.repeat(15_000)}${i}`)
    const { body } = await metrics.expose()
    expect(counts(body)).toHaveLength(7)
    expect(body.length).toBeLessThan(200_000)
  })

  it('S8 has at most 1,001 routes and 5,000 series, of 10,000 names and all statuses', async () => {
    const metrics = create()
    for (let i = 0; i < 10_000; i++) request(metrics, `/cities/${i}`, 100 + (i % 500))
    const found = counts((await metrics.expose()).body)
    const routes = new Set(found.map(([name]) => /route="([^"]*)"/.exec(name)?.[1]))
    expect(routes.size).toBeLessThanOrEqual(1_001)
    expect(found.length).toBeLessThanOrEqual(5_000)
    expect(found.reduce((sum, [, count]) => sum + count, 0)).toBe(10_000)
  })

  it('S8 holds any names of sources, tasks and channels', async () => {
    const name = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom(...HOSTILE, '\ud800', '\udc00'),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(name, { maxLength: 6 }), async (names) => {
        const metrics = new Metrics({ processMetrics: false })
        const tasks = Object.fromEntries(names.map((one) => [`_${one}`, { done: 1, state: one }]))
        const schema = { records: { tasks: 'task' }, counters: ['tasks.*.done'], states: ['tasks.*.state'] }
        metrics.watch('shop', { stats: () => ({ tasks }) }, { schema })
        for (const limit of names) {
          request(metrics, limit)
          diagnosticsChannel.channel('spillway:limiter:denied').publish({ limit, source: 'memory' })
        }
        samplesOf((await metrics.expose()).body)
        const { series } = await metrics.gather()
        samplesOf(await registryOf(merge([series, series])).metrics())
        await metrics.close()
      }),
      { numRuns: 60 },
    )
  })
})

describe('options of the routes', () => {
  it.each(['/metrics', '/admin'])('refuses a dashboard at %s, which would hide the scrape', (dashboard) => {
    expect(() =>
      requestListener(create(), { path: dashboard === '/admin' ? '/admin/data' : '/metrics', dashboard }),
    ).toThrow(
      expect.objectContaining({
        code: 'ERR_METRICS_OPTION',
        message: expect.stringContaining('"dashboard"'),
      }),
    )
  })
})
