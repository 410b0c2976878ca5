import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { shareOf, workerCount } from '../src/index.js'

describe('workerCount', () => {
  it('is what the supervisor set', () => {
    expect(workerCount({ SPILLWAY_WORKERS: '8' })).toBe(8)
  })

  it.each([undefined, '', '0', '-2', '1.5', 'many', 'NaN', 'Infinity', '99999999999999999999'])(
    'is 1 for %s',
    (value) => {
      expect(workerCount(value === undefined ? {} : { SPILLWAY_WORKERS: value })).toBe(1)
    },
  )
})

describe('shareOf', () => {
  it('never hands out more than the budget in all, unless each must have at least 1', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.integer({ min: 1, max: 1_000 }), (total, workers) => {
        const share = shareOf(total, workers)
        expect(Number.isInteger(share)).toBe(true)
        expect(share).toBeGreaterThanOrEqual(1)
        if (total >= workers) {
          expect(share * workers).toBeLessThanOrEqual(total)
          expect((share + 1) * workers).toBeGreaterThan(total)
        }
      }),
    )
  })
})
