import { describe, expect, it } from 'vitest'
import { fromWorker } from '../../src/ipc/messages.js'
import { LOAD } from '../bare-worker.js'

describe('messages', () => {
  it('ignores what belongs to others or makes no sense', () => {
    const strange = [
      undefined,
      null,
      'ready',
      42,
      {},
      { type: 'ready' },
      { spillway: 'limiter', type: 'ready' },
      { spillway: 'cluster', type: 'no such thing' },
      { spillway: 'cluster', type: 'load', rss: 'much' },
      { spillway: 'cluster', type: 'failed' },
    ]
    expect(strange.map(fromWorker)).toEqual(strange.map(() => undefined))
    expect(fromWorker({ spillway: 'cluster', type: 'replace', reason: 'memory' })).toEqual({
      spillway: 'cluster',
      type: 'replace',
      reason: 'memory',
    })
    const load = { spillway: 'cluster', type: 'load', ...LOAD }
    expect(fromWorker(load)).toEqual(load)
  })
})

describe('S2 a transfer', () => {
  it('S2 is read from a message that has all of it, and from no other', () => {
    const said = { spillway: 'cluster', type: 'handover' }
    const transfer = { listener: '127.0.0.1:80', used: true, tried: [1, 2] }
    expect(fromWorker({ ...said, ...transfer, more: 1 })).toEqual({ ...said, ...transfer })
    for (const wrong of [
      {},
      { ...transfer, listener: 'x'.repeat(301) },
      { ...transfer, listener: 7 },
      { ...transfer, used: 'yes' },
      { ...transfer, tried: [-1] },
      { ...transfer, tried: Array.from({ length: 5_000 }, () => 1) },
    ]) {
      expect(fromWorker({ ...said, ...wrong })).toBeUndefined()
    }
  })
})
