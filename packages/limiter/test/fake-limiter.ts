import { FakeClock } from '@spillway/kit/testing'
import { type Decision, memoryStore, RateLimiter, type RateLimiterOptions } from '../src/index.js'

/** A limiter in memory, with the clock of its store. */
export function fakeLimiter(options: RateLimiterOptions<Decision>, maxKeys = 500_000) {
  const clock = new FakeClock()
  return { clock, limiter: new RateLimiter({ ...options, store: memoryStore({ clock, maxKeys }) }) }
}
