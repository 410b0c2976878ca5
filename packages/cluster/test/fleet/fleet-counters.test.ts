import { describe, expect, it } from 'vitest'
import { FleetCounters } from '../../src/fleet/fleet-counters.js'
import { worker } from '../bare-worker.js'

describe('the counters of the fleet', () => {
  it('S8 count any number of different reasons in a bounded table, and lose none', () => {
    const counters = new FleetCounters()
    for (let i = 0; i < 200; i++) {
      const gone = worker({ state: 'stopped', leaving: `reason ${i}`, lost: 0, entered: () => undefined })
      const exit = { id: 1, pid: 1, slot: 1, generation: 1, code: 0, signal: null, lost: 0 }
      counters.exited(gone, { ...exit, cause: undefined, error: undefined }, 0)
    }
    const counts = Object.values(counters.restarts)
    expect(counts.length).toBeLessThanOrEqual(65)
    expect(counts.reduce((sum = 0, each = 0) => sum + each, 0)).toBe(200)
  })
})
