import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { NodeLoopMeter } from '../../src/sampling/loop-meter.js'
import { block, closeAll } from '../support.js'

afterEach(closeAll)

describe('the loop meter', () => {
  it('M7: utilisation is that of the last interval', async () => {
    const loop = new NodeLoopMeter()
    try {
      await sleep(400)
      loop.read()
      await sleep(60)
      loop.read()
      block(200)
      expect(loop.read().utilization).toBeGreaterThan(0.8)
    } finally {
      loop.stop()
    }
  })

  it('M9: a block that begins right after a reading is seen', async () => {
    const loop = new NodeLoopMeter()
    try {
      await sleep(60)
      for (let round = 0; round < 3; round++) {
        loop.read()
        block(150)
        await sleep(60)
        expect(loop.read().max).toBeGreaterThan(100)
        loop.read() // out of turn: must not swallow the next block
      }
    } finally {
      loop.stop()
    }
  })

  it('M10: before the first value, and when idle, the figures are small numbers', async () => {
    const loop = new NodeLoopMeter()
    try {
      expect(loop.read()).toMatchObject({ p50: 0, p99: 0, max: 0 })
      await sleep(100)
      const { p50, p99, max, utilization } = loop.read()
      for (const value of [p50, p99, max, utilization]) expect(value).toBeGreaterThanOrEqual(0)
      expect(p50).toBeLessThan(1_000) // not 9.2e18, and without the resolution
    } finally {
      loop.stop()
    }
  })
})
