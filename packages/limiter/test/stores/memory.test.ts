import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { FakeClock } from '@spillway/kit/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { memoryStore, RateLimiter } from '../../src/index.js'
import { fakeLimiter } from '../fake-limiter.js'
import { memoryWorld } from '../subjects.js'
import { storeContract } from './contract.js'

storeContract('memory', memoryWorld)

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
    const { limiter } = fakeLimiter({ limit: 10, window: '30d' }, 1_000)
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
        const shared = fakeLimiter({ limit: 3, window: '1s' })
        const alone = new Map<number, ReturnType<typeof fakeLimiter>>()
        for (const [key, wait] of steps) {
          let own = alone.get(key)
          if (own === undefined) alone.set(key, (own = fakeLimiter({ limit: 3, window: '1s' })))
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
