import { connect, createServer, type Server } from 'node:net'
import { FakeClock } from '@spillway/kit/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { AcceptDelay } from '../../src/sampling/accept-delay.js'
import { AcceptQueue, type KernelFile } from '../../src/sampling/accept-queue.js'
import { TimeBudget } from '../../src/sampling/time-budget.js'
import { OverloadDetector } from '../../src/shedding/overload-detector.js'

describe('M49: a budget of time', () => {
  it('is kept, whatever the work costs: its share of all the time is no larger', () => {
    for (const cost of [0.007, 0.75, 1.3, 40]) {
      const clock = new FakeClock()
      const budget = new TimeBudget(0.005, 10, clock)
      let spent = 0
      for (let step = 0; step < 100_000; step++) {
        clock.advance(0.5) // a turn of the event loop
        budget.spend(() => {
          clock.advance(cost)
          spent += cost
        })
      }
      expect(spent - cost).toBeLessThanOrEqual(0.005 * clock.now()) // the last piece is paid afterwards
      expect(spent).toBeGreaterThan(0)
    }
  })

  it('backs off when the work gets dearer, and comes back when it is cheap again', () => {
    const clock = new FakeClock()
    const budget = new TimeBudget(0.005, 10, clock)
    const piecesIn = (milliseconds: number, cost: number) => {
      let pieces = 0
      const end = clock.now() + milliseconds
      for (; clock.now() < end; clock.advance(1)) {
        budget.spend(() => {
          clock.advance(cost)
          pieces++
        })
      }
      return pieces
    }
    expect(piecesIn(1_000, 0.01)).toBeGreaterThan(80)
    expect(piecesIn(10_000, 2)).toBeLessThan(30)
    expect(piecesIn(1_000, 0.01)).toBeGreaterThan(40)
  })
})

describe('M42: how long the connection that was accepted last has stood at the door', () => {
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

  it('is the time since it was seen there, and not that of the last in the queue', async () => {
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

  it('is not known of those that came after the last look, and when the queue was seen empty', async () => {
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

  it('M49: is looked at within the budget, however many turns there are', async () => {
    await using at = await stand()
    for (let i = 0; i < 1_000; i++) at.look(i, 1)
    expect(at.queue.reads).toBeLessThanOrEqual(101)
    expect(at.queue.reads).toBeGreaterThan(90)
  })

  it('S15: looks are bounded in number', async () => {
    await using at = await stand()
    for (let i = 1; i < 5_000; i++) at.look(i)
    at.clock.advance(1_000)
    await at.accept(1)
    expect(at.door.ofLast()).toBeGreaterThan(1_000)
  })
})

describe('M49: the kernel is asked for the row of our socket and no more', () => {
  const HEAD = `${'  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt'.padEnd(149)}\n`
  const row = (slot: number, local: string, state: string, queue: number) =>
    `${`${String(slot).padStart(4)}: ${local} 00000000:0000 ${state} 00000000:${queue.toString(16).padStart(8, '0').toUpperCase()} 00:00000000 00000000     0        0 1`.padEnd(
      149,
    )}\n`

  /** The file as the kernel writes it: no more than is asked for at a time, at most a page. */
  function kernel(text: () => string) {
    const count = { opened: 0, reads: 0, bytes: 0 }
    const open = (): KernelFile => {
      count.opened++
      return {
        read(buffer, start, end) {
          count.reads++
          count.bytes += end - start
          return buffer.write(text().slice(start, end), start, 'latin1')
        },
        close: () => {},
      }
    }
    return { count, open }
  }

  const listening = (port: number, address = '127.0.0.1', more: object = {}) =>
    ({ address: () => ({ port, address, family: 'IPv4' }), ...more }) as unknown as Server

  it('50,000 open connections cost no byte more', () => {
    const rows = (connections: number) =>
      HEAD +
      row(0, '0100007F:0016', '0A', 0) +
      row(1, '0100007F:1F90', '0A', 300) +
      Array.from({ length: connections }, (_, i) => row(i + 2, '0100007F:1F90', '01', 0)).join('')
    const costs = [10, 50_000].map((connections) => {
      const text = rows(connections)
      const { count, open } = kernel(() => text)
      const server = listening(8_080)
      const queue = new AcceptQueue(() => server, open)
      queue.length() // finds it
      const before = { ...count }
      for (let i = 0; i < 100; i++) expect(queue.length()).toBe(300)
      expect(before.bytes).toBeLessThanOrEqual(4_096)
      return [count.reads - before.reads, count.bytes - before.bytes]
    })
    expect(costs[0]).toEqual(costs[1])
    expect(costs[0]![0]).toBe(100)
    expect(costs[0]![1]! / 100).toBeLessThan(512)
  })

  it('is found beyond the first page, and again when it has moved', () => {
    let listeners = 60
    const { open } = kernel(
      () =>
        HEAD +
        Array.from({ length: listeners }, (_, i) =>
          row(i, `0100007F:${(i + 4_096).toString(16).toUpperCase()}`, '0A', 0),
        ).join('') +
        row(listeners, '0100007F:1F90', '0A', 7),
    )
    const server = listening(8_080)
    const queue = new AcceptQueue(() => server, open)
    expect(queue.length()).toBe(7)
    listeners = 80
    expect(queue.length()).toBe(7)
    listeners = 3
    expect(queue.length()).toBe(7)
  })

  it('a socket that is not among the first is not looked for at every turn', () => {
    const text = HEAD + Array.from({ length: 10_000 }, (_, i) => row(i, '0100007F:0016', '0A', 0)).join('')
    const { count, open } = kernel(() => text)
    const queue = new AcceptQueue(() => server, open)
    const server = listening(8_080)
    for (let i = 0; i < 1_000; i++) expect(queue.length()).toBeUndefined()
    expect(count.bytes).toBeLessThanOrEqual(16_384)
  })

  it('M42: the queue of another address is not ours, and one that is shared is not known', () => {
    const other = kernel(() => HEAD + row(0, '0200007F:1F90', '0A', 99) + row(1, '0100007F:1F90', '0A', 1))
    expect(new AcceptQueue(() => listening(8_080), other.open).length()).toBe(1)
    const twice = kernel(() => HEAD + row(0, '0100007F:1F90', '0A', 99) + row(1, '0100007F:1F90', '0A', 1))
    expect(new AcceptQueue(() => listening(8_080), twice.open).length()).toBeUndefined()
    const capped = listening(8_080, '127.0.0.1', { maxConnections: 5 })
    expect(new AcceptQueue(() => capped, other.open).length()).toBeUndefined()
  })
})

describe('M42: a crowd', () => {
  const BUSY = { longest: 0, busy: 1 }
  /** Samples 250 ms apart. */
  const after = (overload: OverloadDetector, samples: readonly { longest: number; busy: number }[]) =>
    samples.map((sample) => {
      now += 250
      overload.update(sample, 0, now)
      return overload.saturated
    })
  let now = 0

  it('is there when the loop has not waited for work for a second', () => {
    expect(after(new OverloadDetector(50), Array(6).fill(BUSY))).toEqual([
      false,
      false,
      false,
      false,
      true,
      true,
    ])
  })

  it('is not there while the loop waits for work at all, be it ever so little', () => {
    const almost = { longest: 80, busy: 0.999 }
    expect(after(new OverloadDetector(50), Array(40).fill(almost))).not.toContain(true)
    expect(
      after(
        new OverloadDetector(50),
        Array.from({ length: 40 }, (_, i) => (i % 4 === 3 ? almost : BUSY)),
      ),
    ).not.toContain(true)
  })

  it('is not made by one long turn', () => {
    const overload = new OverloadDetector(50)
    overload.update({ longest: 0, busy: 0.1 }, 0, now)
    now += 5_000
    overload.update({ longest: 5_000, busy: 1 }, 0, now)
    expect(overload.saturated).toBe(false)
    expect(after(overload, [BUSY, BUSY, BUSY])).not.toContain(true)
  })

  it('is seen by a request that has waited, before the next sample; one long piece of work does not count', () => {
    const overload = new OverloadDetector(50)
    after(overload, [BUSY, BUSY])
    overload.observe(400, 700, now + 800)
    expect(overload.saturated).toBe(false)
    overload.observe(400, 4, now + 800)
    expect([overload.saturated, overload.overloaded]).toEqual([true, true])
  })

  it('is too large when a request has waited for a quarter of a second, until a second without a long wait', () => {
    const overload = new OverloadDetector(50)
    overload.observe(900, 0, now) // there is no crowd
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

  it('is over when a tenth of the time has been idle for a second', () => {
    const overload = new OverloadDetector(50)
    const idle = { longest: 0, busy: 0.89 }
    after(overload, Array(6).fill(BUSY))
    expect(after(overload, Array(8).fill({ longest: 90, busy: 0.91 }))).not.toContain(false)
    expect(after(overload, [idle, idle, idle, BUSY, idle, idle, idle])).not.toContain(false)
    expect(after(overload, [idle, BUSY, BUSY, BUSY])).toEqual([false, false, false, false])
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
