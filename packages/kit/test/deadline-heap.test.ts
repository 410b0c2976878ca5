import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { type Deadline, DeadlineHeap } from '../src/index.js'
import { FakeClock } from '../testing/index.js'

describe('DeadlineHeap', () => {
  it('fires exactly the deadlines that are left, in order, whatever is added and removed', () => {
    vi.useFakeTimers()
    try {
      fc.assert(
        fc.property(
          fc.array(fc.record({ at: fc.integer({ min: 1, max: 1_000 }), removed: fc.boolean() }), {
            maxLength: 60,
          }),
          fc.integer({ min: 0, max: 1_100 }),
          (entries, until) => {
            const clock = new FakeClock()
            const deadlines = new DeadlineHeap(clock)
            const fired: number[] = []
            const all = entries.map(({ at }): Deadline => {
              const deadline = { dueAt: at, heapIndex: -1, onDue: () => fired.push(at) }
              deadlines.add(deadline)
              return deadline
            })
            for (const [i, { removed }] of entries.entries()) if (removed) deadlines.remove(all[i]!)
            clock.advance(until)
            deadlines.fire()
            const left = entries.filter(({ removed }) => !removed).map(({ at }) => at)
            expect(fired).toEqual(left.filter((at) => at <= until).sort((a, b) => a - b))
            expect(deadlines.size).toBe(left.length - fired.length)
            deadlines.clear()
            expect(vi.getTimerCount()).toBe(0)
          },
        ),
      )
    } finally {
      vi.useRealTimers()
    }
  })
})
