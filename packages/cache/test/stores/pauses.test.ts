import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Tier } from '../../src/store.js'
import { RedisBus } from '../../src/stores/redis/redis-bus.js'
import type { RedisClient } from '../../src/stores/redis/redis-client.js'
import { GuardedTier } from '../../src/tiers/guarded-tier.js'

/** The pauses before a new attempt double up to a bound; a part of them is random. */

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Milliseconds between the attempts; `attempts` counts those so far. */
async function pausesOf(attempts: () => number, count: number): Promise<number[]> {
  const pauses: number[] = []
  let last = Date.now()
  for (let seen = attempts(); pauses.length < count; ) {
    await vi.advanceTimersByTimeAsync(1)
    if (attempts() === seen) continue
    seen = attempts()
    pauses.push(Date.now() - last)
    last = Date.now()
  }
  return pauses
}

const RANDOM = [
  ['none', () => 0, 1],
  ['all', () => 1, 0.5],
] as const

it.each(RANDOM)(
  'RedisBus pauses before a new connection: %s of the random part',
  async (_title, random, share) => {
    let attempts = 0
    const client = {
      get status() {
        attempts++
        return 'wait'
      },
    }
    const listener = { live() {}, message() {}, dropped() {} }
    const bus = new RedisBus(client as RedisClient, 'channel', listener, random)
    try {
      const expected = [50, 100, 200, 400, 800, 1_000, 1_000].map((pause) => pause * share)
      expect(await pausesOf(() => attempts, expected.length)).toEqual(expected)
    } finally {
      bus.close()
    }
  },
)

it.each(RANDOM)('GuardedTier pauses before a probe: %s of the random part', async (_title, random, share) => {
  let attempts = 0
  const tier = {
    ready: true,
    async ping() {
      attempts++
      throw new Error('down')
    },
  }
  const guard = new GuardedTier({
    cache: 'cache',
    tier: tier as unknown as Tier,
    timeout: 10_000,
    maxPending: 1,
    maxQueuedInvalidations: 1,
    replay: async () => {},
    random,
  })
  try {
    guard.probe()
    const expected = [250, 500, 1_000, 1_000].map((pause) => pause * share)
    expect(await pausesOf(() => attempts, expected.length)).toEqual(expected)
  } finally {
    guard.close()
  }
})
