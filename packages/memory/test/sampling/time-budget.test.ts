import { FakeClock } from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import { TimeBudget } from '../../src/sampling/time-budget.js'

describe('a time budget', () => {
  it('M49: is kept, whatever the work costs: its share of all the time is no larger', () => {
    for (const cost of [0.007, 0.75, 1.3, 40]) {
      const clock = new FakeClock()
      const budget = new TimeBudget(0.005, 10, clock)
      let spent = 0
      for (let step = 0; step < 100_000; step++) {
        clock.advance(0.5) // a turn of the event loop
        budget.spend(() => {
          clock.advance(cost)
          spent += cost
        })
      }
      expect(spent - cost).toBeLessThanOrEqual(0.005 * clock.now()) // the last piece is paid afterwards
      expect(spent).toBeGreaterThan(0)
    }
  })

  it('M49: backs off when the work gets dearer, and comes back when it is cheap again', () => {
    const clock = new FakeClock()
    const budget = new TimeBudget(0.005, 10, clock)
    const piecesIn = (milliseconds: number, cost: number) => {
      let pieces = 0
      const end = clock.now() + milliseconds
      for (; clock.now() < end; clock.advance(1)) {
        budget.spend(() => {
          clock.advance(cost)
          pieces++
        })
      }
      return pieces
    }
    expect(piecesIn(1_000, 0.01)).toBeGreaterThan(80)
    expect(piecesIn(10_000, 2)).toBeLessThan(30)
    expect(piecesIn(1_000, 0.01)).toBeGreaterThan(40)
  })
})
