import { describe, expect, it } from 'vitest'
import { recycleReason } from '../../src/monitoring/recycling.js'
import type { WorkerProcess } from '../../src/spawn/worker-process.js'
import { LOAD, worker } from '../bare-worker.js'

describe('recycling', () => {
  const marks = { maxRss: 150, maxHeap: false, maxAge: false, maxRequests: false } as const
  const after = (
    subject: WorkerProcess,
    loads: number[],
    given: Parameters<typeof recycleReason>[2] = marks,
  ) => loads.map((rss) => recycleReason(subject, { ...LOAD, rss }, given, 0))

  it('K23 counts a leak, not a peak', () => {
    expect(after(worker({}), [100, 160, 100, 160, 160, 160])).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      'memory',
    ])
  })

  it('K23 leaves a worker alone that needs so much from the start: a fresh one would be no better', () => {
    expect(after(worker({}), [160, 170, 180, 185, 190]).every((reason) => reason === undefined)).toBe(true)
    expect(after(worker({}), [160, 200, 200, 200]).at(-1)).toBe('memory')
  })

  it('lets workers of one age go one after the other', () => {
    const rules = { ...marks, maxRss: false, maxAge: 1_000 } as const
    expect(recycleReason(worker({ spread: 0 }), LOAD, rules, 999)).toBeUndefined()
    expect(recycleReason(worker({ spread: 1 }), LOAD, rules, 900)).toBe('age')
    const requests = { ...rules, maxAge: false, maxRequests: 100 } as const
    expect(recycleReason(worker({}), { ...LOAD, requests: 100 }, requests, 0)).toBe('requests')
  })
})
