import { describe, expect, it } from 'vitest'
import { RateLimiter } from '../src/index.js'

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
