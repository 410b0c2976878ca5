import { describe, expect, it } from 'vitest'
import { monotonicClock, wallClock } from '../src/index.js'
import { FakeClock } from '../testing/index.js'

describe('clocks', () => {
  it('the monotonic one never goes back', () => {
    let last = monotonicClock.now()
    for (let i = 0; i < 1_000; i++) {
      const now = monotonicClock.now()
      expect(now).toBeGreaterThanOrEqual(last)
      last = now
    }
  })

  it('the wall clock says what other machines say', () => {
    const before = Date.now()
    const now = wallClock.now()
    expect(now).toBeGreaterThanOrEqual(before)
    expect(now).toBeLessThanOrEqual(Date.now())
  })

  it('the fake one moves only when told to, and only forwards', () => {
    const clock = new FakeClock(5)
    const { now } = clock // also without its object, as a user passes it
    expect(now()).toBe(5)
    clock.advance(10)
    clock.advance(0)
    expect(now()).toBe(15)
    expect(() => clock.advance(-1)).toThrow(RangeError)
    expect(() => clock.advance(Number.NaN)).toThrow(RangeError)
    expect(now()).toBe(15)
  })
})
