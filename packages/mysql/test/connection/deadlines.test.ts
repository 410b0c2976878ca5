import { FakeClock } from '@spillway/kit/testing'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Deadline, Deadlines } from '../../src/connection/deadlines.js'

class Probe extends Deadline {
  fired = 0
  onDue(): void {
    this.fired++
  }
}

describe('Deadlines', () => {
  it('fires each once, never early, at most a tick late, and not when it was removed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.boolean()), { maxLength: 60 }),
        (plan) => {
          const clock = new FakeClock()
          const deadlines = new Deadlines(clock)
          const probes = plan.map(([at, removed]) => ({ probe: new Probe(), at: clock.now() + at, removed }))
          for (const { probe, at } of probes) deadlines.set(probe, at)
          for (const { probe, removed } of probes) if (removed) deadlines.remove(probe)
          const start = clock.now()
          while (clock.now() < start + 20_100) {
            clock.advance(37)
            deadlines.fire()
            for (const { probe, at, removed } of probes) {
              if (removed || clock.now() < at) expect(probe.fired).toBe(0)
              else if (clock.now() >= at + 37 + 20) expect(probe.fired).toBe(1)
            }
          }
          expect(deadlines.size).toBe(0)
          deadlines.clear()
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('Deadlines on their own timers', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it.each([
    [1, 2],
    [5, 6],
    [99, 100],
    [500, 511],
    [30_000, 30_011],
  ])('one of %i ms fires within %i ms', (timeout, latest) => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const clock = new FakeClock(1_000_000.25)
    const deadlines = new Deadlines(clock)
    // Another one has the timers run already, out of step.
    deadlines.set(new Probe(), clock.now() + 60_000)
    const pass = (milliseconds: number) => {
      clock.advance(milliseconds)
      vi.advanceTimersByTime(milliseconds)
    }
    for (let i = 0; i < 7; i++) pass(1)
    const probe = new Probe()
    deadlines.set(probe, clock.now() + timeout)
    let after = 0
    for (; probe.fired === 0 && after < timeout + 100; after++) pass(1)
    expect(after).toBeGreaterThanOrEqual(timeout)
    expect(after).toBeLessThanOrEqual(latest)
    // The quick timer ends with the last short deadline.
    pass(20)
    expect(vi.getTimerCount()).toBe(1)
    deadlines.clear()
    expect(vi.getTimerCount()).toBe(0)
  })
})
