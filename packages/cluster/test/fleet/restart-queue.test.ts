import { describe, expect, it } from 'vitest'
import { RestartQueue } from '../../src/fleet/restart-queue.js'

describe('RestartQueue', () => {
  it('holds slots until their back-off is over, and forgets slots that are not wanted any more', () => {
    const restartQueue = new RestartQueue()
    restartQueue.add({ slot: 2, streak: 3, at: 500 })
    restartQueue.add({ slot: 1, streak: 1, at: 100 })
    expect(restartQueue.held(0, 2)).toBe(2)
    expect(restartQueue.next(0)).toBe(100)
    expect(restartQueue.take(99)).toBeUndefined()
    expect(restartQueue.take(100)).toEqual({ slot: 1, streak: 1, at: 100 })
    expect(restartQueue.held(200, 1)).toBe(1)
    expect(restartQueue.held(200, 0)).toBe(0)
    expect(restartQueue.next(200)).toBeUndefined()
  })
})
