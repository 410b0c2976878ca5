import { describe, expect, it } from 'vitest'
import { Autoscaler } from '../../src/monitoring/autoscaler.js'

describe('Autoscaler', () => {
  const rules = { min: 1, max: 4, up: 0.7, down: 0.4, upAfter: 5_000, downAfter: 60_000 }

  it('adds one worker after a while above, not after a moment', () => {
    const autoscaler = new Autoscaler(rules)
    expect(autoscaler.decide([0.9], 1, 0)).toBe(1)
    expect(autoscaler.decide([0.1], 1, 4_000)).toBe(1)
    expect(autoscaler.decide([0.9], 1, 5_000)).toBe(1)
    expect(autoscaler.decide([0.9], 1, 10_000)).toBe(2)
    expect(autoscaler.decide([0.9, 0.9], 2, 10_001)).toBe(2)
  })

  it('removes one only after a long time, and when the others can carry it', () => {
    const autoscaler = new Autoscaler(rules)
    expect(autoscaler.decide([0.3, 0.3], 2, 0)).toBe(2)
    expect(autoscaler.decide([0.3, 0.3], 2, 60_000)).toBe(1)
    const tight = new Autoscaler({ ...rules, up: 0.5 })
    expect(tight.decide([0.35, 0.35], 2, 0)).toBe(2)
    expect(tight.decide([0.35, 0.35], 2, 600_000)).toBe(2)
  })

  it('stays between its bounds', () => {
    const autoscaler = new Autoscaler(rules)
    expect(autoscaler.decide([0], 9, 0)).toBe(4)
    expect(new Autoscaler({ ...rules, min: 2 }).decide([], 1, 0)).toBe(2)
    autoscaler.decide([1, 1, 1, 1], 4, 0)
    expect(autoscaler.decide([1, 1, 1, 1], 4, 60_000)).toBe(4)
  })
})
