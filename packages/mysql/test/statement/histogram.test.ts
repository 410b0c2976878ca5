import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Histogram } from '../../src/statement/histogram.js'

describe('Histogram', () => {
  it('a quantile is at most a bucket above the true one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.02, max: 10_000, noNaN: true }), { minLength: 1 }),
        (values) => {
          const histogram = new Histogram()
          for (const value of values) histogram.record(value)
          const sorted = [...values].sort((a, b) => a - b)
          for (const share of [0.5, 0.99]) {
            const exact = sorted[Math.ceil(values.length * share) - 1]!
            expect(histogram.quantile(share)).toBeGreaterThanOrEqual(exact * 0.999)
            expect(histogram.quantile(share)).toBeLessThanOrEqual(exact * 1.21)
          }
        },
      ),
    )
  })
})
