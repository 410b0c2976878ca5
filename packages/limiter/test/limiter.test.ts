import { execFile } from 'node:child_process'
import diagnosticsChannel from 'node:diagnostics_channel'
import { promisify } from 'node:util'
import { FakeClock } from '@spillway/kit/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  clusterStore,
  type Decision,
  defineLimit,
  limiters,
  memoryStore,
  RateLimiter,
  type RateLimiterOptions,
} from '../src/index.js'

function fake(options: RateLimiterOptions<Decision>, maxKeys = 500_000) {
  const clock = new FakeClock()
  return { clock, limiter: new RateLimiter({ ...options, store: memoryStore({ clock, maxKeys }) }) }
}

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
        const { clock, limiter } = fake({ capacity, refill: { tokens, per } })
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
        const { clock, limiter } = fake({ capacity, refill: { tokens, per } })
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
        const { clock, limiter } = fake({ capacity, refill: { tokens, per } })
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
    const { clock, limiter } = fake({ capacity: 1, refill: { tokens: 1.5, per: '1s' } })
    let granted = 0
    for (let i = 0; i < 1_000_000; i++) {
      if (limiter.consume('a').allowed) granted++
      clock.advance(1)
    }
    // The bucket of one is full for up to a millisecond before each grant: 667 ms apart instead of 666.67.
    expect(granted).toBe(Math.floor(999_999 / 667) + 1)
    const roomy = fake({ capacity: 2, refill: { tokens: 1.5, per: '1s' } })
    let exact = 0
    for (let i = 0; i < 1_000_000; i++) {
      if (roomy.limiter.consume('a').allowed) exact++
      roomy.clock.advance(1)
    }
    expect(Math.abs(exact - 1_500)).toBeLessThanOrEqual(2)
  })

  it('rates from one in ten years to a million per second', () => {
    const fast = fake({ capacity: 1, refill: { tokens: 1e6, per: '1s' } })
    for (let i = 0; i < 100; i++) {
      expect(fast.limiter.consume('a').allowed).toBe(true)
      expect(fast.limiter.consume('a').retryAfter).toBe(0.001)
      fast.clock.advance(0.001)
    }
    const slow = fake({ limit: 1, window: '3650d' })
    slow.limiter.consume('a')
    expect(slow.limiter.consume('a').retryAfter).toBe(3_650 * 86_400_000)
  })

  it('L40: a plan of the user applies at once, in both directions, without a reset', () => {
    const { limiter } = fake({ name: 'plan', limit: 10, window: '1h' })
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

describe('the table of the memory store', () => {
  it('L22: is bounded, and drops buckets that are full again', () => {
    const clock = new FakeClock()
    const store = memoryStore({ clock, maxKeys: 10_000 })
    const limiter = new RateLimiter({ limit: 5, window: '1s', store })
    for (let i = 0; i < 1_000_000; i++) limiter.consume(`k${i}`)
    expect(store.stats().keys).toBeLessThanOrEqual(10_000)
    clock.advance(10_000)
    for (let i = 0; i < 10_000; i++) limiter.consume(`live${i % 10}-${i}`)
    clock.advance(10_000)
    for (let i = 0; i < 10_000; i++) {
      limiter.consume(`last${i}`)
      clock.advance(1)
    }
    // 200 ms refill one token: about as many keys are not full at any time.
    expect(store.stats().keys).toBeLessThan(1_000)
  })

  it('L23: keeps exhausted keys when fresh keys come', () => {
    const { limiter } = fake({ limit: 10, window: '30d' }, 1_000)
    for (let i = 0; i < 10; i++) limiter.consume('victim')
    for (let i = 0; i < 5_000; i++) limiter.consume(`fresh${i}`)
    expect(limiter.consume('victim').allowed).toBe(false)
    const { evictions, forgivenTokens, keys } = limiter.stats().store
    expect(evictions).toBe(4_001)
    expect(forgivenTokens).toBeCloseTo(4_001, 6)
    expect(keys).toBe(1_000)
  })

  it('decides alike with and without a sweep', () => {
    const calls = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 900 })), {
      maxLength: 300,
    })
    fc.assert(
      fc.property(calls, (steps) => {
        const shared = fake({ limit: 3, window: '1s' })
        const alone = new Map<number, ReturnType<typeof fake>>()
        for (const [key, wait] of steps) {
          let own = alone.get(key)
          if (own === undefined) alone.set(key, (own = fake({ limit: 3, window: '1s' })))
          own.clock.advance(shared.clock.now() - own.clock.now())
          expect(shared.limiter.consume(`k${key}`)).toEqual(own.limiter.consume(`k${key}`))
          shared.clock.advance(wait)
        }
      }),
    )
  })

  it('L39: neither a limiter nor a denied wait keeps a process alive', async () => {
    const script = `
      import { RateLimiter } from '@spillway/limiter'
      const limiter = new RateLimiter({ limit: 1, window: '30d' })
      limiter.consume('a')
      limiter.wait('a', { maxWait: '60d' }).catch(() => {})
      console.log('decided')`
    const run = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: import.meta.dirname,
      timeout: 20_000,
    })
    expect(run.stdout).toBe('decided\n')
    expect(run.stderr).toBe('')
  })
})

describe('limiters.all', () => {
  const burst = () => new RateLimiter({ name: 'burst', capacity: 2, refill: { tokens: 0, per: '1s' }, store })
  const day = () => new RateLimiter({ name: 'day', capacity: 10, refill: { tokens: 0, per: '1d' }, store })
  let store = memoryStore()

  it('L32: names the tightest limit in the decision', () => {
    store = memoryStore()
    const both = limiters.all([day(), burst()])
    expect(both.consume('a')).toMatchObject({ allowed: true, remaining: 1, limit: { name: 'burst' } })
    expect(both.consume('a', { cost: 2 })).toMatchObject({ allowed: false, limit: { name: 'burst' } })
    expect(both.consume('a')).toMatchObject({ allowed: true, remaining: 0 })
    expect(day().peek('a').remaining).toBe(8)
  })

  it('takes limits per call by their names', () => {
    store = memoryStore()
    const both = limiters.all([burst(), day()])
    const limits = { burst: { capacity: 5, refill: { tokens: 0, per: '1s' } } } as const
    expect(both.consume('a', { cost: 4, limits })).toMatchObject({ allowed: true, remaining: 1 })
    expect(() => both.consume('a', { limit: limits.burst })).toThrow(/say which/)
  })

  it('refuses what cannot be decided together', () => {
    store = memoryStore()
    const code = expect.objectContaining({ code: 'ERR_LIMITER_JOIN' })
    expect(() => limiters.all([])).toThrow(code)
    expect(() => limiters.all([burst(), burst()])).toThrow(code)
    expect(() => limiters.all([limiters.all([burst(), day()]), burst()])).toThrow(code)
    const shared = clusterStore()
    const [leasing, plain] = [{ max: 5 }, false as const].map(
      (lease, i) => new RateLimiter({ name: `l${i}`, limit: 9, window: '1h', store: shared, lease }),
    )
    expect(() => limiters.all([plain!, leasing!])).toThrow(/only when all limiters have one/)
  })

  it('counts and publishes what a limit in shadow mode would have refused', () => {
    store = memoryStore()
    const messages: unknown[] = []
    const listen = (message: unknown) => messages.push(message)
    diagnosticsChannel.subscribe('spillway:limiter:denied', listen)
    const trial = new RateLimiter({ name: 'trial', limit: 1, window: '1s', shadow: true, store })
    const both = limiters.all([trial, burst()])
    for (let i = 0; i < 3; i++) both.consume('a')
    diagnosticsChannel.unsubscribe('spillway:limiter:denied', listen)
    expect(messages).toMatchObject([
      { limit: 'trial', shadowed: true },
      { limit: 'burst', shadowed: false },
    ])
    expect(both.stats()).toMatchObject({ allowed: 1, denied: 2, shadowed: 1 })
  })
})

describe('wait', () => {
  it('serves first come, first served', async () => {
    const limiter = new RateLimiter({ capacity: 1, refill: { tokens: 1, per: '15ms' } })
    const order: number[] = []
    await Promise.all([1, 2, 3, 4].map((n) => limiter.wait('a', { ref: true }).then(() => order.push(n))))
    expect(order).toEqual([1, 2, 3, 4])
    expect(limiter.stats().waiting).toBe(0)
  })

  it('rejects on abort with the reason, and the next calls move up', async () => {
    const limiter = new RateLimiter({ capacity: 1, refill: { tokens: 1, per: '50ms' } })
    await limiter.wait('a')
    const controller = new AbortController()
    const gone = limiter.wait('a', { signal: controller.signal, ref: true })
    const next = limiter.wait('a', { ref: true })
    controller.abort(new Error('left'))
    await expect(gone).rejects.toThrow('left')
    expect((await next).allowed).toBe(true)
    await expect(limiter.wait('a', { signal: controller.signal })).rejects.toThrow('left')
  })

  it('gives up at once when it cannot be in time, or ever', async () => {
    const limiter = new RateLimiter({ limit: 1, window: '1h' })
    limiter.consume('a')
    await expect(limiter.wait('a', { maxWait: '1s' })).rejects.toMatchObject({
      code: 'ERR_LIMITER_LIMITED',
      status: 429,
    })
    await expect(limiter.wait('a', { cost: 2 })).rejects.toMatchObject({ decision: { impossible: true } })
  })

  it('gives up at maxWait while others are served before', async () => {
    const limiter = new RateLimiter({ limit: 1, window: '1h' })
    limiter.consume('a')
    const first = limiter.wait('a', { maxWait: '2h' })
    await expect(limiter.wait('a', { maxWait: '20ms', ref: true })).rejects.toMatchObject({
      code: 'ERR_LIMITER_LIMITED',
    })
    await limiter.close()
    await expect(first).rejects.toMatchObject({ code: 'ERR_LIMITER_CLOSED' })
  })
})

describe('a limiter', () => {
  it('in shadow mode counts and lets through', () => {
    const { limiter } = fake({ limit: 1, window: '1h', shadow: true })
    expect(limiter.consume('a')).toMatchObject({ allowed: true, shadowed: false })
    expect(limiter.consume('a')).toMatchObject({ allowed: true, shadowed: true, remaining: 0 })
    expect(limiter.stats()).toMatchObject({ allowed: 1, denied: 1, shadowed: 1 })
  })

  it('publishes denials without the key', () => {
    const messages: unknown[] = []
    const listen = (message: unknown) => messages.push(message)
    diagnosticsChannel.subscribe('spillway:limiter:denied', listen)
    const { limiter } = fake({ name: 'api', limit: 1, window: '1s' })
    limiter.consume('secret')
    limiter.consume('secret')
    diagnosticsChannel.unsubscribe('spillway:limiter:denied', listen)
    expect(messages).toEqual([
      { limit: 'api', retryAfter: 1_000, impossible: false, shadowed: false, source: 'memory' },
    ])
  })

  it('has a name made of its numbers', () => {
    expect(defineLimit({ limit: 100, window: '15m' }).name).toBe('100-in-15m')
    expect(defineLimit({ capacity: 20, refill: { tokens: 5, per: '1s' } }).name).toBe('5-in-1s-burst-20')
  })

  it('is closed once, for good', async () => {
    const limiter = new RateLimiter({ limit: 1, window: '1s' })
    expect(limiter.close()).toBe(limiter.close())
    await limiter[Symbol.asyncDispose]()
    expect(() => limiter.consume('a')).toThrow(expect.objectContaining({ code: 'ERR_LIMITER_CLOSED' }))
  })

  it('refuses options that say nothing, too much, or something unknown', () => {
    const code = expect.objectContaining({ code: 'ERR_LIMITER_OPTION' })
    const bad: object[] = [
      {},
      { limit: 1 },
      { limit: 1, window: 0 },
      { limit: 1.5, window: '1s' },
      { limit: -1, window: '1s' },
      { limit: 1, window: '11y' },
      { limit: 1, window: '4000d' },
      { limit: 1, window: '1s', capacity: 1, refill: { tokens: 1, per: 1 } },
      { limit: 1, refill: { tokens: 1, per: 1 } },
      { limit: 1, window: '1s', name: 'a{b}' },
      { limit: 1, window: '1s', onStoreFailure: 'retry' },
      { limit: 1, window: '1s', lease: { max: 0 } },
    ]
    for (const options of bad)
      expect(() => new RateLimiter(options as never), JSON.stringify(options)).toThrow(code)
    expect(() => new RateLimiter({ limit: 1, windows: '1s' } as never)).toThrow(/did you mean "window"/)
  })
})
