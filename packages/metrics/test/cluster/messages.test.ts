import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { merge } from '../../src/cluster/merge.js'
import { parse } from '../../src/cluster/messages.js'
import { registryOf, type Series } from '../../src/series/series.js'

/** What a process may say to another one is checked before it is used. */

const collected = (series: unknown) =>
  parse({ spillway: 'metrics', type: 'collected', link: 'l', id: 1, series })
const seriesOf = (series: unknown): readonly Series[] => {
  const message = collected(series)
  return message?.type === 'collected' ? message.series : []
}

const counter = { name: 'hits_total', help: 'Hits', type: 'counter', aggregator: 'sum' }
const one = (value: unknown, labels: unknown = {}) => [{ ...counter, values: [{ value, labels }] }]
const bucket = (le: unknown, value: number) => ({ metricName: 'd_bucket', value, labels: { le } })
const histogram = (values: unknown[]) => [
  { name: 'd', help: 'D', type: 'histogram', aggregator: 'sum', values },
]

describe('S8 messages between processes', () => {
  it('S8 takes what prom-client makes, and copies the declared fields only', () => {
    const values = [bucket(0.1, 1), bucket('+Inf', 2), { metricName: 'd_sum', value: 3, labels: {} }]
    expect(seriesOf(histogram(values))).toEqual(histogram(values))
    expect(seriesOf([{ ...one(1)[0], evil: 1 }])).toEqual(one(1))
  })

  it.each([
    ['a value that is no number', one('1')],
    ['a counter below zero', one(-1)],
    ['a label that is an object', one(1, { a: {} })],
    ['a label that is too long', one(1, { a: 'x'.repeat(3_000) })],
    ['a label name that is none', one(1, { 'a b': 'x' })],
    ['a label name of the prototype', one(1, JSON.parse('{"__proto__":"x"}'))],
    ['too many labels', one(1, Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`l${i}`, 'x'])))],
    ['a part of another metric', [{ ...counter, values: [{ value: 1, labels: {}, metricName: 'other' }] }]],
    ['a bucket without a bound', histogram([{ metricName: 'd_bucket', value: 1, labels: {} }])],
    ['a bucket with a bound that is none', histogram([bucket('soon', 1)])],
  ])('S8 leaves out %s', (_what, series) => {
    expect(seriesOf(series).flatMap(({ values }) => values)).toEqual([])
  })

  it.each([
    ['without a type', [{ ...counter, type: 'poison', values: [] }]],
    ['with an aggregator that is none', [{ ...counter, aggregator: 'product', values: [] }]],
    ['with a name that is none', [{ ...counter, name: 'a b', values: [] }]],
    ['with a name that breaks the text', [{ ...counter, name: 'a\n', values: [] }]],
    ['whose buckets shrink', histogram([bucket(0.1, 5), bucket(1, 2)])],
    ['that is nothing', [null, 7, 'x', []]],
  ])('S8 leaves out a metric %s', (_what, series) => {
    expect(seriesOf(series)).toEqual([])
  })

  it('S8 bounds the number of metrics and of values', () => {
    expect(collected(Array.from({ length: 5_001 }, () => counter))).toBeUndefined()
    const values = Array.from({ length: 60_000 }, (_, i) => ({ value: 1, labels: { i } }))
    expect(seriesOf([{ ...counter, values }])[0]!.values).toHaveLength(50_000)
  })

  it('S8 merges metrics of one name and two kinds by the first, so that they can be written', async () => {
    const gauge = { ...counter, type: 'gauge', aggregator: 'max', values: [{ value: 9, labels: {} }] }
    const merged = merge([seriesOf(one(1)), seriesOf([gauge]), seriesOf(one(2))])
    expect(merged).toEqual(one(3))
    expect(await registryOf(merged).metrics()).toContain('hits_total 3')
  })

  it('S8 whatever arrives is refused or can be merged and written', async () => {
    const label = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.double(), fc.anything()))
    const value = fc.record(
      {
        value: fc.oneof(fc.double(), fc.anything()),
        labels: fc.oneof(label, fc.anything()),
        metricName: fc.anything(),
      },
      { requiredKeys: [] },
    )
    const metric = fc.record(
      {
        name: fc.oneof(fc.constantFrom('hits_total', 'd', '__proto__', 'toString'), fc.anything()),
        help: fc.oneof(fc.string(), fc.anything()),
        type: fc.oneof(fc.constantFrom('counter', 'gauge', 'histogram', 'summary'), fc.anything()),
        aggregator: fc.oneof(fc.constantFrom('sum', 'first', 'min', 'max', 'average', 'omit'), fc.anything()),
        values: fc.oneof(fc.array(value), fc.anything()),
        ratio: fc.oneof(fc.record({ of: fc.array(fc.string()), to: fc.array(fc.string()) }), fc.anything()),
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(metric, fc.anything())), fc.array(metric), async (a, b) => {
        const merged = merge([seriesOf(a), seriesOf(b), seriesOf(one(1))])
        expect(JSON.parse(JSON.stringify(merged))).toHaveLength(merged.length)
        for (const { values } of merged)
          for (const { value } of values) expect(Number.isFinite(value)).toBe(true)
        await registryOf(merged).metrics()
      }),
      { numRuns: 300 },
    )
  })

  it('S8 no message at all makes the parser throw', () => {
    fc.assert(fc.property(fc.anything(), (raw) => void parse(raw)))
  })
})
