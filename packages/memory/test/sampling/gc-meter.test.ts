import { afterEach, describe, expect, it } from 'vitest'
import { V8GcMeter } from '../../src/sampling/gc-meter.js'
import { realSystem } from '../../src/sampling/system.js'
import { closeAll, MB } from '../support.js'

afterEach(closeAll)

describe('the meter of garbage collections', () => {
  it('M30: each one is counted, with its pause, and leaves its live size', () => {
    const collections = new V8GcMeter()
    try {
      for (let i = 0; i < 5; i++) realSystem.collectGarbage()
      const liveSizes = collections.drain()
      expect(collections.byKind.major.count).toBeGreaterThanOrEqual(5)
      expect(liveSizes.length).toBe(collections.byKind.major.count)
      expect(collections.byKind.major.longest).toBeGreaterThan(0)
      expect(liveSizes.at(-1)!.heap).toBeGreaterThan(MB)
      expect(collections.drain().length).toBeLessThan(5)
    } finally {
      collections.stop()
    }
  })

  it('M17: Buffers are in the live size', () => {
    const collections = new V8GcMeter()
    try {
      realSystem.collectGarbage()
      collections.drain()
      const before = collections.live!.external
      const kept = Array.from({ length: 40 }, () => Buffer.alloc(MB))
      realSystem.collectGarbage()
      collections.drain()
      expect(collections.live!.external - before).toBeGreaterThanOrEqual(39 * MB)
      expect(kept.length).toBe(40)
    } finally {
      collections.stop()
    }
  })
})
