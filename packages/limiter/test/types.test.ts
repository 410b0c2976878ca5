import { describe, expectTypeOf, it } from 'vitest'
import {
  clusterStore,
  type Decision,
  limiters,
  memoryStore,
  RateLimiter,
  type RateLimiterOptions,
} from '../src/index.js'

describe('the types', () => {
  it('say where a decision is at once, and where it is a promise', () => {
    const limit = { limit: 1, window: '1s' } as const
    const own = new RateLimiter(limit)
    expectTypeOf(own.consume).returns.toEqualTypeOf<Decision>()
    const memory = new RateLimiter({ ...limit, name: 'a', store: memoryStore() })
    expectTypeOf(memory.consume('a').allowed).toEqualTypeOf<boolean>()
    const shared = new RateLimiter({ ...limit, store: clusterStore() })
    expectTypeOf(shared.consume).returns.toEqualTypeOf<Promise<Decision>>()
    expectTypeOf(limiters.all([memory]).peek).returns.toEqualTypeOf<Decision>()
    expectTypeOf(shared.wait).returns.toEqualTypeOf<Promise<Decision>>()
  })

  it('know durations, and that a limit is said in one way', () => {
    expectTypeOf({ limit: 1, window: '15m' } as const).toExtend<RateLimiterOptions>()
    expectTypeOf({ capacity: 1, refill: { tokens: 1, per: 5 } }).toExtend<RateLimiterOptions>()
    expectTypeOf({ limit: 1, window: 'soon' } as const).not.toExtend<RateLimiterOptions>()
    expectTypeOf({ capacity: 1 }).not.toExtend<RateLimiterOptions>()
  })
})
