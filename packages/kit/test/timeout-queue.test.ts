import { MessageChannel } from 'node:worker_threads'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { TimeoutQueue, type Waiting } from '../src/index.js'

interface Item extends Waiting {
  readonly id: number
}

const PATIENCE = 100

function item(id: number): Item {
  return { id, since: performance.now(), next: undefined, previous: undefined }
}

describe('TimeoutQueue', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('tells of each that has waited too long, in the order of their beginning, and of no other', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 60 }), fc.option(fc.nat({ max: 250 }), { nil: undefined })), {
          maxLength: 30,
        }),
        (script) => {
          const late: [id: number, after: number][] = []
          const deadlines = new TimeoutQueue<Item>(PATIENCE, ({ id, since }) =>
            late.push([id, performance.now() - since]),
          )
          const expected: number[] = []
          for (const [id, [pause, answeredAfter]] of script.entries()) {
            vi.advanceTimersByTime(pause)
            const one = item(id)
            deadlines.add(one)
            if (answeredAfter !== undefined) setTimeout(() => deadlines.end(one), answeredAfter)
            if (answeredAfter === undefined || answeredAfter > PATIENCE + 1) expected.push(id)
            // At the edge either is right.
            else if (answeredAfter >= PATIENCE) return
          }
          vi.advanceTimersByTime(1_000)
          expect(late.map(([id]) => id)).toEqual(expected)
          for (const [, after] of late) {
            expect(after).toBeGreaterThanOrEqual(PATIENCE)
            expect(after).toBeLessThanOrEqual(PATIENCE + 1)
          }
          expect(deadlines.size).toBe(0)
        },
      ),
    )
  })

  it('ends each once', () => {
    const deadlines = new TimeoutQueue<Item>(PATIENCE, () => {})
    const one = item(1)
    deadlines.add(one)
    expect([deadlines.end(one), deadlines.end(one)]).toEqual([true, false])
  })

  it('drains what waits, and tells of none of them afterwards', () => {
    const late = vi.fn()
    const deadlines = new TimeoutQueue<Item>(PATIENCE, late)
    const both = [item(1), item(2)]
    for (const each of both) deadlines.add(each)
    expect(deadlines.drain()).toEqual(both)
    vi.advanceTimersByTime(1_000)
    expect(late).not.toHaveBeenCalled()
    expect(deadlines.end(both[0]!)).toBe(false)
  })
})

describe('TimeoutQueue in real time', () => {
  it('an answer that came while this process stood still is no late one', async () => {
    const late = vi.fn()
    const deadlines = new TimeoutQueue<Item>(20, late)
    const one = item(1)
    deadlines.add(one)
    const { port1, port2 } = new MessageChannel()
    const answered = new Promise<boolean>((resolve) => {
      port1.once('message', () => resolve(deadlines.end(one)))
    })
    port2.postMessage('here')
    const end = performance.now() + 60
    while (performance.now() < end);
    expect(await answered).toBe(true)
    expect(late).not.toHaveBeenCalled()
    port1.close()
  })

  it('keeps the process alive only as long as somebody waits', () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    const deadlines = new TimeoutQueue<Item>(1_000, () => {})
    const one = item(1)
    deadlines.add(one)
    expect(timers()).toBe(before + 1)
    deadlines.end(one)
    expect(timers()).toBe(before)
    deadlines.add(item(2))
    expect(timers()).toBe(before + 1)
    deadlines.drain()
    expect(timers()).toBe(before)
  })
})
