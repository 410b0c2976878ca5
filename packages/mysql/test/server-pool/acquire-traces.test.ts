import { describe, expect, it } from 'vitest'
import { AcquireTraces } from '../../src/server-pool/acquire-traces.js'

describe('AcquireTraces', () => {
  it('take all stacks of an app that asks seldom, and a bounded number of one that asks all the time', () => {
    const traces = new AcquireTraces()
    const asking = (now: number) => traces.above(asking, now)
    let taken = 0
    for (let i = 0; i < 10_000; i++) if (asking(0) !== undefined) taken++
    expect(taken).toBe(100)
    for (let now = 2; now < 2_000; now += 2) expect(asking(now)?.()).toContain('acquire-traces.test')
    taken = 0
    for (let i = 0; i < 50_000; i++) if (asking(10_000 + i / 50) !== undefined) taken++
    expect(taken).toBeLessThanOrEqual(1_100)
    expect(taken).toBeGreaterThan(1_000)
  })
})
