import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Backoff } from '../src/index.js'

describe('Backoff', () => {
  it('doubles with each failure in a row, up to its bound, and begins anew after a success', () => {
    const backoff = new Backoff({ first: 10, max: 50, jitter: 0 })
    expect([backoff.fail(), backoff.fail(), backoff.fail(), backoff.fail()]).toEqual([10, 20, 40, 50])
    expect(backoff.failures).toBe(4)
    backoff.reset()
    expect(backoff.failures).toBe(0)
    expect(backoff.fail()).toBe(10)
  })

  it('draws a share of each wait at random: half of it, unless told otherwise', () => {
    const random = () => 1
    expect(new Backoff({ first: 10, max: 50, random }).fail()).toBe(5)
    expect(new Backoff({ first: 10, max: 50, jitter: 1, random }).fail()).toBe(0)
    expect(new Backoff({ first: 10, max: 50, jitter: 0.2, random }).fail()).toBe(8)
  })

  it('stays within its bounds after any number of failures', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1_000, max: 1e9 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 2_000 }),
        (first, max, jitter, failures) => {
          const backoff = new Backoff({ first, max, jitter })
          for (let i = 0; i < failures; i++) {
            const full = Math.min(max, first * 2 ** Math.min(i, 30))
            const wait = backoff.fail()
            expect(wait).toBeLessThanOrEqual(full)
            expect(wait).toBeGreaterThanOrEqual(full * (1 - jitter) - 1e-6)
          }
        },
      ),
      { numRuns: 50 },
    )
  })
})
