import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RowFeed } from '../../src/connection/row-feed.js'

describe('RowFeed', () => {
  it('gives the rows in order, and holds the source back while it has enough', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.oneof(fc.constant(-1), fc.integer({ min: 1, max: 40 }))),
        (readAhead, steps) => {
          let paused = false
          const feed = new RowFeed<number>(
            {
              pause: () => (paused = true),
              resume: () => (paused = false),
            },
            readAhead,
          )
          let sent = 0
          let got = 0
          for (const burst of steps) {
            if (burst === -1) {
              const row = feed.take()
              expect(row).toBe(sent > got ? got : undefined)
              if (row !== undefined) got++
              // It goes on long before the store is empty.
              if (feed.size <= readAhead / 2) expect(paused).toBe(false)
            } else if (!paused) {
              // A burst is what one read of the socket brings; it is not cut.
              for (let i = 0; i < burst; i++) feed.push(sent++)
              expect(paused).toBe(feed.size >= readAhead)
            }
            expect(feed.size).toBe(sent - got)
          }
          feed.end()
          expect(paused).toBe(false)
          while (got < sent) expect(feed.take()).toBe(got++)
          expect(feed.take()).toBeUndefined()
        },
      ),
    )
  })

  it('a failure is heard at once, whatever is in store, and is the first one', async () => {
    const feed = new RowFeed<number>({ pause() {}, resume() {} }, 5)
    feed.push(1)
    feed.fail(new Error('first'))
    feed.fail(new Error('second'))
    expect(() => feed.take()).toThrow('first')
    await feed.change()
    const waiting = new RowFeed<number>({ pause() {}, resume() {} }, 5)
    const changed = waiting.change()
    waiting.push(7)
    await changed
    expect(waiting.take()).toBe(7)
    const ended = waiting.change()
    waiting.end()
    await ended
    waiting.push(8)
    expect(waiting.take()).toBeUndefined()
  })
})
