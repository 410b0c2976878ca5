import { describe, expect, it } from 'vitest'
import { Restarts } from '../../src/fleet/restarts.js'

const OPTIONS = { max: 5, within: 60_000, backoff: 200, maxBackoff: 15_000, stableAfter: 10_000 }

function restarts(options: Partial<typeof OPTIONS> = {}, random = () => 1) {
  const clock = { time: 0, now: () => clock.time }
  return { clock, policy: new Restarts({ ...OPTIONS, ...options }, clock, random) }
}

describe('Restarts', () => {
  it('answers the first crash at once, then waits twice as long each time', () => {
    const { policy } = restarts({ max: 100 })
    const delays: number[] = []
    let streak = 0
    for (let i = 0; i < 9; i++) {
      const restart = policy.crashed(10, streak)
      streak = restart.streak
      delays.push(restart.delay)
    }
    expect(delays).toEqual([0, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 15_000])
  })

  it('spreads the waits over the upper half', () => {
    const { policy } = restarts({ max: 100 }, () => 0)
    policy.crashed(10, 0)
    expect(policy.crashed(10, 1).delay).toBe(100)
  })

  it('K2 forgets the row of a worker that has proved itself', () => {
    const { policy } = restarts({ max: 100 })
    expect(policy.crashed(9_999, 5).streak).toBe(6)
    expect(policy.crashed(10_000, 5)).toMatchObject({ streak: 1, delay: 0 })
  })

  it('K2 is degraded by one crash too many in the window, says so once, and recovers when the window was quiet', () => {
    const { policy, clock } = restarts()
    const said: boolean[] = []
    for (let i = 0; i < 7; i++) {
      clock.time += 1_000
      said.push(policy.crashed(100_000, 0).degraded)
    }
    expect(said).toEqual([false, false, false, false, false, true, false])
    expect(policy.crashed(100_000, 0).delay).toBe(15_000)
    expect(policy.recovered()).toBe(false)
    clock.time += 60_000
    expect(policy.recovered()).toBe(true)
    expect(policy.degraded).toBe(false)
    expect(policy.crashed(100_000, 0).delay).toBe(0)
  })

  it('K1 forks two workers that crash at boot no more than 16 times in 10 s', () => {
    const { policy, clock } = restarts({ max: 10 })
    const boot = 50
    let forks = 0
    const places = [0, 0].map((at) => ({ at, streak: 0 }))
    while (clock.time < 10_000) {
      const place = places.sort((a, b) => a.at - b.at)[0]!
      clock.time = place.at + boot
      forks++
      const { delay, streak } = policy.crashed(0, place.streak)
      Object.assign(place, { at: clock.time + delay, streak })
    }
    expect(forks).toBeLessThanOrEqual(16)
  })
})
