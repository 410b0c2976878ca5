import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defineLimit } from '../../src/index.js'
import { fakeLimiter } from '../fake-limiter.js'

const rates = fc.record({
  capacity: fc.integer({ min: 1, max: 50 }),
  tokens: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.double({ min: 1e-3, max: 1e3, noNaN: true })),
  per: fc.oneof(fc.integer({ min: 1, max: 10_000 }), fc.constantFrom(86_400_000, 315_360_000_000)),
})

describe('the token bucket', () => {
  it('L9: in any interval admits at most the capacity and what was refilled', () => {
    const waits = fc.array(
      fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 5 })),
      {
        maxLength: 60,
      },
    )
    fc.assert(
      fc.property(rates, waits, ({ capacity, tokens, per }, calls) => {
        const { clock, limiter } = fakeLimiter({ capacity, refill: { tokens, per } })
        const admitted: { at: number; cost: number }[] = []
        for (const [part, cost] of calls) {
          clock.advance((part * per * capacity) / tokens / 3)
          if (limiter.consume('a', { cost }).allowed) admitted.push({ at: clock.now(), cost })
        }
        for (let from = 0; from < admitted.length; from++) {
          let sum = 0
          for (let to = from; to < admitted.length; to++) {
            sum += admitted[to]!.cost
            const window = admitted[to]!.at - admitted[from]!.at
            // A microsecond for the rounding of the clock.
            expect(sum).toBeLessThanOrEqual(capacity * (1 + 1e-9) + ((window + 0.001) * tokens) / per + 1e-6)
          }
        }
      }),
    )
  })

  it('L30: admits a call after retryAfter; Retry-After in whole seconds is long enough, too', () => {
    fc.assert(
      fc.property(rates, fc.integer({ min: 1, max: 50 }), ({ capacity, tokens, per }, cost) => {
        const { clock, limiter } = fakeLimiter({ capacity, refill: { tokens, per } })
        limiter.consume('a', { cost: capacity })
        const { allowed, retryAfter, impossible } = limiter.consume('a', { cost })
        expect(allowed).toBe(false)
        expect(impossible).toBe(cost > capacity)
        if (impossible) return
        clock.advance(retryAfter)
        expect(limiter.peek('a', { cost }).allowed).toBe(true)
        clock.advance(Math.max(1, Math.ceil(retryAfter / 1_000)) * 1_000 - retryAfter)
        expect(limiter.consume('a', { cost }).allowed).toBe(true)
      }),
    )
  })

  it('L28: a denial, a peek and a bad cost change nothing', () => {
    fc.assert(
      fc.property(rates, fc.double({ min: 0, max: 1, noNaN: true }), ({ capacity, tokens, per }, part) => {
        const { clock, limiter } = fakeLimiter({ capacity, refill: { tokens, per } })
        limiter.consume('a', { cost: capacity * part })
        clock.advance((per / tokens) * part)
        const before = limiter.peek('a', { cost: capacity })
        for (let i = 0; i < 5; i++) {
          limiter.consume('a', { cost: capacity + 1 })
          limiter.peek('a')
          expect(() => limiter.consume('a', { cost: Number.NaN })).toThrow(RangeError)
        }
        expect(limiter.peek('a', { cost: capacity })).toEqual(before)
      }),
    )
  })

  it('L26: polled each millisecond for 1,000 s, the long-run rate is exact', () => {
    const { clock, limiter } = fakeLimiter({ capacity: 1, refill: { tokens: 1.5, per: '1s' } })
    let granted = 0
    for (let i = 0; i < 1_000_000; i++) {
      if (limiter.consume('a').allowed) granted++
      clock.advance(1)
    }
    // The bucket of one is full for up to a millisecond before each grant: 667 ms apart instead of 666.67.
    expect(granted).toBe(Math.floor(999_999 / 667) + 1)
    const roomy = fakeLimiter({ capacity: 2, refill: { tokens: 1.5, per: '1s' } })
    let exact = 0
    for (let i = 0; i < 1_000_000; i++) {
      if (roomy.limiter.consume('a').allowed) exact++
      roomy.clock.advance(1)
    }
    expect(Math.abs(exact - 1_500)).toBeLessThanOrEqual(2)
  })

  it('rates from one in ten years to a million per second', () => {
    const fast = fakeLimiter({ capacity: 1, refill: { tokens: 1e6, per: '1s' } })
    for (let i = 0; i < 100; i++) {
      expect(fast.limiter.consume('a').allowed).toBe(true)
      expect(fast.limiter.consume('a').retryAfter).toBe(0.001)
      fast.clock.advance(0.001)
    }
    const slow = fakeLimiter({ limit: 1, window: '3650d' })
    slow.limiter.consume('a')
    expect(slow.limiter.consume('a').retryAfter).toBe(3_650 * 86_400_000)
  })

  it('L40: a plan of the user applies at once, in both directions, without a reset', () => {
    const { limiter } = fakeLimiter({ name: 'plan', limit: 10, window: '1h' })
    const [gold, free] = [
      defineLimit({ name: 'plan', limit: 100, window: '1h' }),
      defineLimit({ limit: 5, window: '1h' }),
    ]
    for (let i = 0; i < 10; i++) limiter.consume('a')
    expect(limiter.consume('a').allowed).toBe(false)
    expect(limiter.consume('a', { limit: gold })).toMatchObject({
      allowed: true,
      remaining: 89,
      capacity: 100,
    })
    expect(limiter.consume('a', { limit: free })).toMatchObject({ allowed: false, remaining: 0, capacity: 5 })
  })
})
