import { connect, createServer, type Server } from 'node:net'
import { FakeClock } from '@spillway/kit/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { AcceptDelay } from '../../src/sampling/accept-delay.js'

describe('the accept delay of the last connection', () => {
  const doors: AcceptDelay[] = []
  afterEach(() => {
    for (const door of doors.splice(0)) door.close()
  })

  /** A real server; the queue and the clock are the test's. */
  async function stand() {
    const server = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const clock = new FakeClock()
    const queue = { waiting: 0 as number | undefined, reads: 0, server, close: () => {} }
    const door = new AcceptDelay(
      Object.assign(queue, {
        length: () => {
          queue.reads++
          return queue.waiting
        },
      }),
      clock,
    )
    doors.push(door)
    return {
      door,
      clock,
      queue,
      look: (waiting: number, after = 20) => {
        clock.advance(after)
        queue.waiting = waiting
        door.sample()
      },
      accept: async (count: number) => {
        for (let i = 0; i < count; i++) await accepted(server)
      },
      [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
    }
  }

  it('M42: is the time since a sample found it in the queue, and not that of the last in the queue', async () => {
    await using at = await stand()
    at.look(3)
    at.clock.advance(100)
    expect([at.door.ofLast(), at.door.ofNext()]).toEqual([0, 100]) // none of them is accepted yet
    await at.accept(1)
    expect(at.door.ofLast()).toBe(100)
    at.look(50, 100) // many more have come
    expect(at.door.ofLast()).toBe(200) // the first is the first still
    await at.accept(2)
    expect(at.door.ofLast()).toBe(200)
    await at.accept(1) // came between the two looks: seen at the later one
    expect(at.door.ofLast()).toBe(0)
    at.clock.advance(30)
    expect(at.door.ofLast()).toBe(30)
  })

  it('M42: is not known for connections after the last sample, and after a sample of an empty queue', async () => {
    await using at = await stand()
    at.look(2)
    at.clock.advance(500)
    await at.accept(3)
    expect(at.door.ofLast()).toBe(0)
    at.look(5)
    at.look(0)
    at.clock.advance(500)
    await at.accept(1)
    expect(at.door.ofLast()).toBe(0)
  })

  it('M49: is sampled within the budget, however many turns there are', async () => {
    await using at = await stand()
    for (let i = 0; i < 1_000; i++) at.look(i, 1)
    expect(at.queue.reads).toBeLessThanOrEqual(101)
    expect(at.queue.reads).toBeGreaterThan(90)
  })

  it('S15: keeps a bounded number of samples', async () => {
    await using at = await stand()
    for (let i = 1; i < 5_000; i++) at.look(i)
    at.clock.advance(1_000)
    await at.accept(1)
    expect(at.door.ofLast()).toBeGreaterThan(1_000)
  })
})

/** One connection, accepted by the server. */
function accepted(server: Server): Promise<void> {
  const address = server.address()
  return new Promise((resolve, reject) => {
    server.once('connection', () => resolve())
    connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
      .on('error', reject)
      .resume()
  })
}
