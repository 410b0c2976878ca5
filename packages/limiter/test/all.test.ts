import diagnosticsChannel from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { clusterStore, limiters, memoryStore, RateLimiter } from '../src/index.js'

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
