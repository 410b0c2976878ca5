import { describe, expect, it } from 'vitest'
import { Liveness } from '../../src/monitoring/liveness.js'
import { worker } from '../bare-worker.js'

describe('Liveness', () => {
  const options = { interval: 1_000, deadline: 10_000 }

  it('K14 doubts a late worker and gives up a silent one', () => {
    const liveness = new Liveness(options, 0)
    const silent = worker({ heardAt: 0 })
    const verdicts = []
    for (let now = liveness.period; now <= 10_500; now += liveness.period) {
      const { late, hung } = liveness.check([silent], now)
      verdicts.push(hung.length > 0 ? 'hung' : late.length > 0 ? 'late' : 'fine')
    }
    expect([...new Set(verdicts)]).toEqual(['fine', 'late', 'hung'])
  })

  it('K16 adds the time in which the primary did not listen to the deadline of every worker', () => {
    const liveness = new Liveness(options, 0)
    const asleep = worker({ heardAt: 0 })
    const { late, hung } = liveness.check([asleep], 3_600_000)
    expect([late, hung]).toEqual([[], []])
    expect(liveness.check([asleep], 3_600_000 + liveness.period).hung).toEqual([])
  })

  it('judges ready workers only', () => {
    const liveness = new Liveness(options, 0)
    const others = (['starting', 'draining'] as const).map((state) => worker({ state }))
    let hung = 0
    for (let now = 0; now < 60_000; now += liveness.period) hung += liveness.check(others, now).hung.length
    expect(hung).toBe(0)
  })
})
