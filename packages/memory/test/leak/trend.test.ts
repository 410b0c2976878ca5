import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type GrowthRule, GrowthTest } from '../../src/leak/growth-test.js'
import { Series } from '../../src/leak/series.js'
import { trendOf } from '../../src/leak/trend.js'
import { MB } from '../support.js'

const RULE: GrowthRule = { minGrowth: 16 * MB, minRequests: 20_000, warmup: 60_000, confidence: 0.99 }
const MINUTE = 60_000

/** The same numbers in every run. */
function noise(seed = 7): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647 - 0.5
  }
}

/** The states a watch goes through: one reading a second, `perSecond` requests, `bytes` alive after so many seconds. */
function states(seconds: number, bytes: (second: number) => number, perSecond = 1_000): string[] {
  const watch = new GrowthTest(RULE)
  const seen: string[] = []
  for (let second = 0; second < seconds; second++) {
    watch.add({ at: second * 1_000, requests: second * perSecond, bytes: bytes(second) })
    const state = watch.finding?.state ?? 'none'
    if (seen.at(-1) !== state) seen.push(state)
  }
  return seen
}

describe('a trend', () => {
  it('is found exactly in a line', () => {
    const { slope, confidence } = trendOf(Array.from({ length: 20 }, (_, x) => ({ x, y: 3 * x + 1 })))
    expect(slope).toBeCloseTo(3)
    expect(confidence).toBeGreaterThan(0.999_999)
  })

  it('agrees with a worked example: S = 35 over ten values, z = 34 / sqrt(125) = 3.041, p = 0.00118', () => {
    const points = [1, 2, 4, 3, 6, 8, 5, 7, 10, 9].map((y, x) => ({ x, y }))
    expect(1 - trendOf(points).confidence).toBeCloseTo(0.00118, 5)
  })

  it('is not moved by a wild point', () => {
    const points = Array.from({ length: 21 }, (_, x) => ({ x, y: 2 * x }))
    points[10] = { x: 10, y: 1e9 }
    expect(trendOf(points).slope).toBeCloseTo(2)
  })

  it('has no confidence when nothing rises, and none when all is equal', () => {
    expect(trendOf(Array.from({ length: 20 }, (_, x) => ({ x, y: -x }))).confidence).toBe(0)
    expect(trendOf(Array.from({ length: 20 }, (_, x) => ({ x, y: 5 }))).confidence).toBe(0)
    expect(trendOf([])).toEqual({ slope: 0, confidence: 0 })
  })

  it('its confidence is what it says: 99 % is passed by chance about once in a hundred series', () => {
    const random = noise()
    let passed = 0
    for (let i = 0; i < 2_000; i++) {
      const points = Array.from({ length: 16 }, (_, x) => ({ x, y: random() }))
      if (trendOf(points).confidence >= 0.99) passed++
    }
    expect(passed / 2_000).toBeGreaterThan(0.003)
    expect(passed / 2_000).toBeLessThan(0.017)
  })

  it('does not depend on where the axes begin', () => {
    const values = fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 2, maxLength: 30 })
    fc.assert(
      fc.property(values, fc.integer({ min: 0, max: 1e6 }), (ys, shift) => {
        const here = trendOf(ys.map((y, x) => ({ x, y })))
        const there = trendOf(ys.map((y, x) => ({ x: x + shift, y: y + shift })))
        expect(there.slope).toBeCloseTo(here.slope, 6)
        expect(there.confidence).toBeCloseTo(here.confidence, 9)
      }),
    )
  })
})

it('a series keeps its whole history in bounded memory', () => {
  const series = new Series()
  for (let x = 0; x < 100_000; x++) series.add({ x, y: x })
  expect(series.points.length).toBeLessThan(65)
  expect(series.points[0]!.x).toBeLessThan(2_000)
  expect(series.points.at(-1)!.x).toBeGreaterThan(95_000)
  for (const { x, y } of series.points) expect(y).toBeCloseTo(x, 6)
})

describe('a leak', () => {
  const random = noise()
  const jitter = (bytes: number) => bytes * random()

  it('M23: of 200 B per request is called within 200,000 requests', () => {
    const watch = new GrowthTest(RULE)
    let calledAt: number | undefined
    for (let second = 0; second < 200; second++) {
      const requests = second * 1_000
      const bytes = 20 * MB + 200 * requests + jitter(MB)
      const finding = watch.add({ at: second * 1_000, requests, bytes })
      if (finding?.state === 'confirmed') calledAt ??= requests
    }
    expect(calledAt).toBeLessThan(200_000)
    expect(watch.finding?.bytesPerRequest).toBeCloseTo(200, -1)
    expect(watch.finding!.bytesPerHour / (200 * 1_000 * 3_600)).toBeCloseTo(1, 1)
    expect(watch.finding?.confidence).toBeGreaterThan(0.99)
  })

  /** Requests until 200 B each are called below a wave of ±7 MB. A collection, four seconds after the last, tells of it. */
  function calledBelowWave(phase: number, leak: number, wavelength = 38_000): number {
    const watch = new GrowthTest(RULE)
    for (let requests = 0; requests < 400_000; requests += 4_000) {
      const wave = 7 * MB * Math.sin((requests / wavelength) * 2 * Math.PI + phase)
      const bytes = 30 * MB + wave + leak * requests + jitter(MB / 2)
      if (watch.add({ at: requests, requests, bytes })?.state === 'confirmed') return requests
    }
    return Number.POSITIVE_INFINITY
  }
  const phases = Array.from({ length: 20 }, (_, i) => (i / 20) * 2 * Math.PI)

  it.each([24_000, 38_000, 50_000])(
    'M23: below a wave of %i requests is called within 200,000, wherever on the wave this begins',
    (wavelength) => {
      for (const phase of phases) {
        expect(calledBelowWave(phase, 200, wavelength)).toBeLessThan(200_000)
        expect(calledBelowWave(phase, 0, wavelength)).toBe(Number.POSITIVE_INFINITY)
      }
    },
  )

  it('M23: is found by time when no requests are counted', () => {
    const watch = new GrowthTest(RULE)
    for (let second = 0; second < 600; second++) {
      watch.add({ at: second * 1_000, requests: 0, bytes: 20 * MB + 50_000 * second + jitter(MB) })
    }
    expect(watch.finding).toMatchObject({ state: 'confirmed', bytesPerRequest: undefined })
    expect(watch.finding!.bytesPerHour / (50_000 * 3_600)).toBeCloseTo(1, 1)
  })

  it('that stops is taken back', () => {
    const seen = states(2_000, (second) => 20 * MB + Math.min(second, 300) * 200_000)
    expect(seen).toEqual(['none', 'suspected', 'confirmed', 'none'])
  })

  it('under a wave of traffic is found: the axis is requests', () => {
    const watch = new GrowthTest(RULE)
    let requests = 0
    for (let second = 0; second < 900; second++) {
      requests += Math.round(600 + 500 * Math.sin(second / 50))
      const sessions = 10_000_000 * (1 + Math.sin(second / 50))
      watch.add({ at: second * 1_000, requests, bytes: 20 * MB + sessions + 200 * requests })
    }
    expect(watch.finding?.state).toBe('confirmed')
  })
})

describe('no leak', () => {
  const random = noise(99)

  it('M22: five collections within 100 ms of the start', () => {
    const watch = new GrowthTest(RULE)
    for (let i = 0; i < 5; i++) watch.add({ at: i * 20, requests: i, bytes: (10 + 40 * i) * MB })
    expect(watch.finding).toBeUndefined()
  })

  it('M22: figures stay sane beyond 32 bits', () => {
    const watch = new GrowthTest(RULE)
    for (let second = 0; second < 300; second++) {
      watch.add({ at: second * 1_000, requests: second * 1e7, bytes: 3e9 + second * 5e7 })
    }
    expect(watch.finding!.growth).toBeGreaterThan(2 ** 33)
    expect(watch.finding!.bytesPerHour).toBeGreaterThan(2 ** 36)
  })

  it.each([
    ['M24: lazy initialisation', (s: number) => 20 * MB + Math.min(s, 55) * MB],
    [
      'M24: a bounded cache that fills ever more slowly',
      (s: number) => 20 * MB + 38 * MB * (1 - Math.exp(-s / 150)),
    ],
    ['M24: a small cache that fills steadily', (s: number) => 20 * MB + Math.min(s * 0.1, 15) * MB],
    ['noise', () => 60 * MB + 40 * MB * random()],
    ['a wave', (s: number) => 60 * MB + 30 * MB * Math.sin(s / 16)],
    ['bursts', (s: number) => (s % 120 < 30 ? 120 : 40) * MB],
    ['a batch that grows and goes', (s: number) => (40 + ((s + 150) % 200)) * MB],
    ['one step up', (s: number) => (s < 700 ? 40 : 120) * MB],
    ['shrinking', (s: number) => (400 - s * 0.1) * MB],
    ['M20: nothing was collected: no live size, no verdict', () => 61 * MB],
  ])('%s', (_title, bytes) => {
    expect(states(1_500, bytes)).not.toContain('confirmed')
  })

  it('few requests are no evidence', () => {
    expect(states((3 * MINUTE) / 1_000, (s) => 20 * MB + s * MB, 100)).toEqual(['none'])
  })
})
