import diagnostics from 'node:diagnostics_channel'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Offloader, Task } from '../../src/index.js'
import { CLAIMS, Claims, distance, ticketAfter } from '../../src/wire/claims.js'
import { cells, gate, offloaderWith, rejection, task, until } from '../support.js'

type Quick = Task<any, any, any>

/** The task `quick`, known to be short: from now on it is posted to a thread while another one runs there. */
async function quickOn(offloader: Offloader): Promise<Quick> {
  const quick: Quick = task(offloader, 'quick')
  await offloader.warm()
  const mean = () => offloader.stats().tasks.quick?.run
  // A module that loads slowly is forgotten after some calls.
  for (let i = 0; i < 100 || (mean()?.p50 ?? 0) > 1; i++) {
    await Promise.all(Array.from({ length: offloader.threads }, () => quick()))
  }
  return quick
}

describe('short tasks, posted to a thread while another one runs there', () => {
  it('each run once, and not at all when they were aborted before they began', async () => {
    const offloader = offloaderWith({ threads: 2, grace: '10s' })
    const quick = await quickOn(offloader)
    const count = 600
    const mark = cells(count)
    const results = await Promise.allSettled(
      Array.from({ length: count }, (_, at) => {
        const controller = new AbortController()
        const call = quick({ mark, at }, { signal: controller.signal })
        if (at % 3 === 0) controller.abort()
        return call
      }),
    )
    const ran = Array.from(mark)
    expect(ran.filter((times) => times > 1)).toEqual([])
    for (const [at, { status }] of results.entries()) {
      expect(status).toBe(at % 3 === 0 ? 'rejected' : 'fulfilled')
      if (status === 'fulfilled') expect(ran[at]).toBe(1)
    }
    expect(offloader.stats()).toMatchObject({ queue: { size: 0 }, threads: { started: 2, idle: 2 } })
  })

  it('do not wait behind one that turns out to be long, when another thread is free', async () => {
    const offloader = offloaderWith({ threads: 2 })
    const quick = await quickOn(offloader)
    const [long, short] = [gate(), gate()]
    const first = quick({ cells: long.cells })
    const second = quick({ cells: short.cells })
    const others = Array.from({ length: 10 }, () => quick())
    await Promise.all([long.entered(1), short.entered(1)])
    short.open()
    const threads = new Set(await Promise.all([second, ...others]))
    expect(threads.size).toBe(1)
    long.open()
    expect(threads).not.toContain(await first)
  })

  it('still count as waiting: the queue has its limit', async () => {
    const offloader = offloaderWith({ queue: 5 })
    const quick = await quickOn(offloader)
    const hold = gate()
    const held = quick({ cells: hold.cells })
    const calls = Array.from({ length: 8 }, () => quick())
    const results = Promise.allSettled(calls)
    expect(offloader.capacity).toBe(0)
    expect(offloader.stats().queue.size).toBe(5)
    await hold.entered(1)
    hold.open()
    await held
    expect((await results).map(({ status }) => status === 'fulfilled')).toEqual([
      ...[true, true, true, true, true],
      ...[false, false, false],
    ])
  })

  it('run elsewhere when their thread dies before they begin', async () => {
    const offloader = offloaderWith({ poison: false })
    const quick = await quickOn(offloader)
    const results = await Promise.allSettled([
      quick(),
      quick({ exit: 3 }),
      quick(),
      quick({ exit: 4 }),
      quick(),
    ])
    expect(results).toMatchObject([
      { status: 'fulfilled' },
      { reason: { code: 'ERR_OFFLOAD_EXIT', exitCode: 3 } },
      { status: 'fulfilled' },
      { reason: { code: 'ERR_OFFLOAD_EXIT', exitCode: 4 } },
      { status: 'fulfilled' },
    ])
  })

  it('O29: are not hurt by what the one before them left behind', async () => {
    const offloader = offloaderWith({ respawn: false })
    const quick = await quickOn(offloader)
    const calls = Array.from({ length: 40 }, (_, i) => quick({ leave: i % 10 === 5 }))
    expect(await Promise.all(calls)).toHaveLength(40)
    expect(offloader.stats().calls.crashed).toBe(0)
  })

  it('have each their own timeout, and only the one that is late is stopped', async () => {
    const offloader = offloaderWith({ grace: 10 })
    const quick = await quickOn(offloader)
    const calls = [
      quick(),
      quick({ spin: cells() }, { timeout: 50 }),
      quick({}, { timeout: '1m' }),
      quick({ wait: 60_000 }, { timeout: 50 }),
      quick(),
    ]
    expect(await Promise.allSettled(calls)).toMatchObject([
      { status: 'fulfilled' },
      { reason: { code: 'ERR_OFFLOAD_TIMEOUT' } },
      { status: 'fulfilled' },
      { reason: { code: 'ERR_OFFLOAD_TIMEOUT' } },
      { status: 'fulfilled' },
    ])
  })

  it('that wait too long there are refused, and do not run', async () => {
    const offloader = offloaderWith({ respawn: false })
    const quick = await quickOn(offloader)
    const [hold, mark] = [gate(), cells()]
    const held = quick({ cells: hold.cells })
    const error = await rejection(quick({ mark, at: 0 }, { maxWait: 20 }))
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_QUEUE_TIMEOUT', status: 503 })
    hold.open()
    await held
    await quick()
    expect(mark[0]).toBe(0)
  })

  it('that are aborted there have waited and not run, as the channel tells', async () => {
    const seen: { wait: number }[] = []
    const listen = (message: unknown) => seen.push(message as { wait: number })
    const offloader = offloaderWith()
    const quick = await quickOn(offloader)
    const hold = gate()
    const held = quick({ cells: hold.cells })
    await hold.entered(1)
    const controller = new AbortController()
    const behind = rejection(quick({}, { signal: controller.signal }))
    diagnostics.subscribe('spillway:offload:run', listen)
    controller.abort()
    diagnostics.unsubscribe('spillway:offload:run', listen)
    await behind
    expect(seen).toEqual([{ task: 'quick', outcome: 'aborted', wait: expect.any(Number), run: 0 }])
    expect(seen[0]?.wait).toBeGreaterThanOrEqual(0)
    const { count } = offloader.stats().run
    hold.open()
    await held
    expect(offloader.stats().run.count).toBe(count + 1)
  })

  it('of moved buffers are not among them: those could not be sent again', async () => {
    const offloader = offloaderWith()
    const quick = await quickOn(offloader)
    const bytes = new Uint8Array(8)
    const first = quick()
    const second = quick({ bytes }, { transfer: [bytes.buffer] })
    expect(bytes.byteLength).toBe(8)
    await Promise.all([first, second])
    expect(bytes.byteLength).toBe(0)
  })

  it('are answered or refused when the offloader closes', async () => {
    const offloader = offloaderWith()
    const quick = await quickOn(offloader)
    const hold = gate()
    const held = rejection(quick({ cells: hold.cells }))
    const behind = rejection(quick())
    await hold.entered(1)
    await offloader.close({ timeout: 10 })
    expect(await held).toMatchObject({ code: 'ERR_OFFLOAD_TERMINATED' })
    expect(await behind).toMatchObject({ code: 'ERR_OFFLOAD_CLOSED' })
    await until(() => offloader.stats().threads.alive === 0, 'the thread is gone')
  })

  it('do not see the async context of the one before them', async () => {
    const offloader = offloaderWith()
    const quick = await quickOn(offloader)
    const calls = [
      quick({ enter: 'mine' }),
      quick({ entered: true }),
      quick({ enter: 'mine', wait: 5 }),
      quick({ entered: true }),
    ]
    const seen = await Promise.all(calls)
    expect([seen[1], seen[3]]).toEqual([undefined, undefined])
    expect(await quick({ entered: true })).toBeUndefined()
  })
})

describe('Claims', () => {
  it('give each ticket to one side only, for as many as may be out at a time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 30 }), fc.array(fc.boolean()), (start, sides) => {
        const here = new Claims()
        const there = new Claims(here.cells)
        const tickets: number[] = []
        let ticket = start
        for (let i = 0; i < CLAIMS; i++) {
          tickets.push(ticket)
          here.offer(ticket)
          expect(distance(ticket, start)).toBe(i)
          ticket = ticketAfter(ticket)
          expect(ticket).toBeGreaterThan(0)
        }
        for (const [i, own] of tickets.entries()) {
          const [first, second] = sides[i] ? [here, there] : [there, here]
          expect([first.take(own), second.take(own), first.take(own)]).toEqual([true, false, false])
        }
      }),
    )
  })

  it('a ticket that was taken back is not taken from the one that has its cell', () => {
    const claims = new Claims()
    claims.offer(1)
    expect(claims.take(1)).toBe(true)
    claims.offer(1 + CLAIMS)
    expect(claims.take(1)).toBe(false)
    expect(claims.take(1 + CLAIMS)).toBe(true)
  })
})
