import diagnosticsChannel from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { defineLimit, RateLimiter } from '../src/index.js'
import { fakeLimiter } from './fake-limiter.js'

describe('a limiter', () => {
  it('in shadow mode counts and lets through', () => {
    const { limiter } = fakeLimiter({ limit: 1, window: '1h', shadow: true })
    expect(limiter.consume('a')).toMatchObject({ allowed: true, shadowed: false })
    expect(limiter.consume('a')).toMatchObject({ allowed: true, shadowed: true, remaining: 0 })
    expect(limiter.stats()).toMatchObject({ allowed: 1, denied: 1, shadowed: 1 })
  })

  it('publishes denials without the key', () => {
    const messages: unknown[] = []
    const listen = (message: unknown) => messages.push(message)
    diagnosticsChannel.subscribe('spillway:limiter:denied', listen)
    const { limiter } = fakeLimiter({ name: 'api', limit: 1, window: '1s' })
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
