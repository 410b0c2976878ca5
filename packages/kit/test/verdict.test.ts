import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ADMIT, retryAfterSeconds } from '../src/index.js'

describe('Retry-After', () => {
  it('is whole seconds, rounded up, at least 1', () => {
    expect(retryAfterSeconds(0)).toBe('1')
    expect(retryAfterSeconds(1)).toBe('1')
    expect(retryAfterSeconds(1_000)).toBe('1')
    expect(retryAfterSeconds(1_001)).toBe('2')
    expect(retryAfterSeconds(-5)).toBe('1')
  })

  it('waiting exactly that long is enough, and a second less is not', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (milliseconds) => {
        const text = retryAfterSeconds(milliseconds)
        expect(text).toMatch(/^[1-9]\d*$/)
        expect(Number(text) * 1_000).toBeGreaterThanOrEqual(milliseconds)
        if (Number(text) > 1) expect((Number(text) - 1) * 1_000).toBeLessThan(milliseconds)
      }),
    )
  })

  it('is a number of digits for any value at all', () => {
    fc.assert(
      fc.property(fc.double(), (value) => /^[1-9]\d*$/.test(retryAfterSeconds(value))),
      {
        examples: [[Number.NaN], [Number.POSITIVE_INFINITY], [Number.NEGATIVE_INFINITY]],
      },
    )
  })
})

it('the verdict that admits cannot be changed', () => {
  expect(ADMIT).toEqual({ headers: {} })
  expect(Object.isFrozen(ADMIT)).toBe(true)
  expect(Object.isFrozen(ADMIT.headers)).toBe(true)
})
