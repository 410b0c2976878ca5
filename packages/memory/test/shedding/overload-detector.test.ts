import { describe, expect, it } from 'vitest'
import { OverloadDetector } from '../../src/shedding/overload-detector.js'

describe('the overload detector', () => {
  const BUSY = { longest: 0, busy: 1 }
  /** Samples 250 ms apart. */
  const after = (overload: OverloadDetector, samples: readonly { longest: number; busy: number }[]) =>
    samples.map((sample) => {
      now += 250
      overload.update(sample, 0, now)
      return overload.saturated
    })
  let now = 0

  it('M42: calls the loop saturated when it has not waited for work for a second', () => {
    expect(after(new OverloadDetector(50), Array(6).fill(BUSY))).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
    ])
  })

  it('M42: never calls a loop saturated that waits for work, however little', () => {
    const almost = { longest: 80, busy: 0.999 }
    expect(after(new OverloadDetector(50), Array(40).fill(almost))).not.toContain(true)
    expect(
      after(
        new OverloadDetector(50),
        Array.from({ length: 40 }, (_, i) => (i % 4 === 3 ? almost : BUSY)),
      ),
    ).not.toContain(true)
  })

  it('M42: does not take one long turn for saturation', () => {
    const overload = new OverloadDetector(50)
    overload.update({ longest: 0, busy: 0.1 }, 0, now)
    now += 5_000
    overload.update({ longest: 5_000, busy: 1 }, 0, now)
    expect(overload.saturated).toBe(false)
    expect(after(overload, [BUSY, BUSY, BUSY])).not.toContain(true)
  })

  it('M42: detects overload at a request that has waited, before the next sample; one long task does not count', () => {
    const overload = new OverloadDetector(50)
    after(overload, [BUSY, BUSY])
    overload.observe(400, 700, now + 800)
    expect(overload.saturated).toBe(false)
    overload.observe(400, 4, now + 800)
    expect([overload.saturated, overload.overloaded]).toEqual([true, true])
  })

  it('M42: calls the loop overloaded from a wait of 250 ms until a second without a long wait', () => {
    const overload = new OverloadDetector(50)
    overload.observe(900, 0, now) // the loop is not saturated
    expect(overload.overloaded).toBe(false)
    after(overload, Array(6).fill(BUSY))
    overload.observe(249, 0, now)
    expect(overload.overloaded).toBe(false)
    overload.observe(250, 0, now)
    expect(overload.overloaded).toBe(true)
    after(overload, [BUSY, BUSY, BUSY])
    overload.observe(50, 0, now)
    after(overload, [BUSY, BUSY, BUSY, BUSY])
    expect(overload.overloaded).toBe(true)
    overload.observe(49, 0, now)
    after(overload, [BUSY])
    expect([overload.saturated, overload.overloaded]).toEqual([true, false])
  })

  it('M42: ends saturation when a tenth of the time has been idle for a second', () => {
    const overload = new OverloadDetector(50)
    const idle = { longest: 0, busy: 0.89 }
    after(overload, Array(6).fill(BUSY))
    expect(after(overload, Array(8).fill({ longest: 90, busy: 0.91 }))).not.toContain(false)
    expect(after(overload, [idle, idle, idle, BUSY, idle, idle, idle])).not.toContain(false)
    expect(after(overload, [idle, BUSY, BUSY, BUSY])).toEqual([false, false, false, false])
  })
})
