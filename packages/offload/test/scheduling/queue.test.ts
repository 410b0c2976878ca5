import { FakeClock } from '@spillway/kit/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OverloadedError } from '../../src/index.js'
import { defaultCall } from '../../src/jobs/call-options.js'
import { Job } from '../../src/jobs/job.js'
import { JobQueue } from '../../src/jobs/job-queue.js'
import { Lane } from '../../src/jobs/lane.js'
import { TaskDefinition } from '../../src/jobs/task-definition.js'
import { TaskRunStats } from '../../src/jobs/task-run-stats.js'
import { cells, gate, offloaderWith, rejection, task, until } from '../support.js'

function definitionOf(): TaskDefinition {
  return new TaskDefinition(
    { id: 1, name: 'any', module: undefined },
    { priority: 'normal', timeout: 1_000, maxWait: 1_000, terminable: true, idempotent: false },
    new Lane(),
    new TaskRunStats('any', undefined),
    undefined,
  )
}

describe('bounds', () => {
  it('O9: tasks with a signal stand in the same queue as all others', async () => {
    const offloader = offloaderWith({ queue: 2 })
    await offloader.warm()
    const hold = gate()
    const held = task(offloader, 'gate')(hold.cells)
    const { signal } = new AbortController()
    const calls = Array.from({ length: 39 }, (_, i) => task(offloader, 'echo')(i, { signal }))
    const settled = Promise.allSettled(calls)
    hold.open()
    const refused = (await settled).filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(37)
    await held
  })

  it('O10: a refused task does not run; a queue of 0 still takes what a thread is there for', async () => {
    const offloader = offloaderWith({ queue: 0 })
    const counter = cells()
    const bump = task(offloader, 'bump')
    const results = await Promise.allSettled([bump(counter), bump(counter), bump(counter)])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect((results[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'ERR_OFFLOAD_QUEUE_FULL' })
    await offloader.close()
    expect(counter[0]).toBe(1)
  })

  it('O14: a full queue refuses with 503 and a Retry-After from the measured rate', async () => {
    const offloader = offloaderWith({ queue: 2, maxWait: false })
    await task(offloader, 'deaf')(30)
    const hold = gate()
    const held = task(offloader, 'gate')(hold.cells)
    await hold.entered(1)
    const calls = Array.from({ length: 40 }, () => task(offloader, 'deaf')(1))
    const results = Promise.allSettled(calls)
    const errors = await Promise.all(calls.slice(2).map(rejection))
    expect(errors).toHaveLength(38)
    for (const error of errors) {
      expect(error).toBeInstanceOf(OverloadedError)
      expect(error).toMatchObject({
        status: 503,
        statusCode: 503,
        task: 'deaf',
        headers: { 'Retry-After': '1' },
      })
      expect(error.retryAfter).toBeGreaterThan(0)
    }
    expect(offloader.stats()).toMatchObject({ queue: { size: 2, max: 2 }, calls: { refused: 38 } })
    hold.open()
    await results
    await held
  })

  it('refuses at once when the expected wait is longer than the task may wait', async () => {
    const offloader = offloaderWith({ maxWait: '1s' })
    await offloader.warm()
    const deaf = task(offloader, 'deaf')
    await deaf(400)
    const calls = Array.from({ length: 10 }, () => deaf(400))
    const results = await Promise.allSettled(calls.map((call) => call))
    const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason)
    expect(refused.length).toBeGreaterThanOrEqual(6)
    for (const error of refused)
      expect(['ERR_OFFLOAD_WAIT', 'ERR_OFFLOAD_QUEUE_TIMEOUT']).toContain(error.code)
    expect(refused.some(({ code }) => code === 'ERR_OFFLOAD_WAIT')).toBe(true)
  })

  it('O12: a producer that waits for room is never refused, however many there are', async () => {
    const offloader = offloaderWith({ queue: 4, threads: 2 })
    const bump = task(offloader, 'bump')
    const counter = cells()
    const calls: Promise<unknown>[] = []
    const produce = async (count: number) => {
      for (let i = 0; i < count; i++) {
        await offloader.whenFree()
        calls.push(bump(counter))
      }
    }
    await Promise.all([produce(250), produce(250), produce(250), produce(250)])
    await Promise.all(calls)
    expect(counter[0]).toBe(1000)
    expect(offloader.stats().calls.refused).toBe(0)
  })

  it('O12: capacity counts free threads and free places', async () => {
    const offloader = offloaderWith({ queue: 2 })
    expect(offloader.capacity).toBe(3)
    const hold = gate()
    const calls = [task(offloader, 'gate')(hold.cells)]
    await hold.entered(1)
    expect(offloader.capacity).toBe(2)
    calls.push(task(offloader, 'echo')(1), task(offloader, 'echo')(2))
    expect(offloader.capacity).toBe(0)
    const waiting = new AbortController()
    const room = rejection(offloader.whenFree({ signal: waiting.signal }))
    waiting.abort(new Error('enough'))
    expect((await room).message).toBe('enough')
    hold.open()
    await Promise.all(calls)
    await offloader.whenFree()
    expect(offloader.capacity).toBe(3)
  })

  it('O13: the time in the queue does not count as run time', async () => {
    const offloader = offloaderWith({ timeout: 2_000 })
    const deaf = task(offloader, 'deaf')
    const results = await Promise.allSettled([deaf(900), deaf(900), deaf(900)])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
  })

  it('O13: a task that waited too long is refused and has not run', async () => {
    const offloader = offloaderWith()
    const hold = gate()
    const held = task(offloader, 'gate')(hold.cells)
    await hold.entered(1)
    const counter = cells()
    const error = await rejection(task(offloader, 'bump')(counter, { maxWait: 20 }))
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_QUEUE_TIMEOUT', status: 503 })
    hold.open()
    await held
    await task(offloader, 'noop')()
    expect(counter[0]).toBe(0)
  })

  it('a deadline covers waiting and running, and answers 504', async () => {
    const offloader = offloaderWith()
    const hold = gate()
    const held = task(offloader, 'gate')(hold.cells)
    await hold.entered(1)
    const waiting = await rejection(task(offloader, 'echo')(1, { deadline: 20 }))
    expect(waiting).toMatchObject({ code: 'ERR_OFFLOAD_DEADLINE', status: 504, timeout: 20 })
    hold.open()
    await held
    const running = await rejection(task(offloader, 'deaf')(5_000, { deadline: 50, timeout: '10s' }))
    expect(running).toMatchObject({ code: 'ERR_OFFLOAD_DEADLINE', status: 504 })
  })
})

describe('order', () => {
  /** Runs `labels` on one thread, all queued while it is held, and tells in which order they finished. */
  async function orderOf(
    clock: FakeClock,
    jobs: readonly { label: string; priority: 'high' | 'normal' | 'low'; at: number }[],
  ): Promise<string[]> {
    const offloader = offloaderWith({ clock, ageing: 1_000, maxWait: false, timeout: false, idle: false })
    const hold = gate()
    const held = task(offloader, 'gate')(hold.cells)
    await hold.entered(1)
    const order: string[] = []
    const calls = jobs.map(({ label, priority, at }) => {
      clock.advance(at - clock.now())
      return task(offloader, 'echo')(label, { priority }).then((done) => order.push(done))
    })
    hold.open()
    await Promise.all([held, ...calls])
    return order
  }

  it('serves higher priorities first, and each priority in the order of arrival', async () => {
    expect(
      await orderOf(new FakeClock(), [
        { label: 'low', priority: 'low', at: 0 },
        { label: 'normal', priority: 'normal', at: 1 },
        { label: 'high 1', priority: 'high', at: 2 },
        { label: 'high 2', priority: 'high', at: 3 },
      ]),
    ).toEqual(['high 1', 'high 2', 'normal', 'low'])
  })

  it('O15: a low task goes before high ones that came two ageing periods later', async () => {
    const flood = Array.from({ length: 20 }, (_, i) => ({
      label: `high ${i}`,
      priority: 'high' as const,
      at: 1 + i * 200,
    }))
    const order = await orderOf(new FakeClock(), [{ label: 'low', priority: 'low', at: 0 }, ...flood])
    // The eleventh comes at 2001 ms, when the low one has waited two periods.
    expect(order.indexOf('low')).toBe(10)
  })

  it('a capped task runs no more than so often at once, and holds nobody else up', async () => {
    const offloader = offloaderWith({ threads: 3 })
    await offloader.warm()
    const hold = gate()
    const capped = task(offloader, 'gate', { concurrency: 1 })
    const calls = [capped(hold.cells), capped(hold.cells), capped(hold.cells)]
    await hold.entered(1)
    expect(await task(offloader, 'echo')('past them')).toBe('past them')
    expect(Atomics.load(hold.cells, 1)).toBe(1)
    expect(offloader.stats().tasks.gate).toMatchObject({ running: 1 })
    hold.open()
    await Promise.all(calls)
    expect(Atomics.load(hold.cells, 1)).toBe(3)
  })
})

describe('JobQueue', () => {
  it('gives the lowest rank first, whatever is taken out and comes back', () => {
    const priority = fc.constantFrom('high' as const, 'normal' as const, 'low' as const)
    const step = fc.oneof(
      fc.record({ do: fc.constant('push' as const), priority, after: fc.integer({ min: 0, max: 3_000 }) }),
      fc.record({ do: fc.constantFrom('shift' as const, 'remove' as const, 'return' as const) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new JobQueue(1_000)
        const definition = definitionOf()
        let now = 0
        const inside: Job[] = []
        const outside: Job[] = []
        const call = { ...defaultCall(definition) }
        for (const one of steps) {
          if (one.do === 'push') {
            now += one.after
            const job = new Job(definition, undefined, { ...call, priority: one.priority }, undefined, now)
            queue.push(job, definition.lane)
            inside.push(job)
          } else if (one.do === 'return') {
            const job = outside.pop()
            if (job !== undefined) {
              queue.push(job, definition.lane)
              inside.push(job)
            }
          } else {
            inside.sort((a, b) => a.rank - b.rank)
            const job = one.do === 'shift' ? queue.shift() : inside.at(-1)
            expect(job?.rank).toBe((one.do === 'shift' ? inside[0] : inside.at(-1))?.rank)
            if (job !== undefined) {
              queue.remove(job)
              inside.splice(inside.indexOf(job), 1)
              outside.push(job)
            }
          }
          expect(queue.size).toBe(inside.length)
        }
        const ranks = Array.from(inside, () => queue.shift()?.rank)
        expect(ranks).toEqual(inside.map(({ rank }) => rank).sort((a, b) => a - b))
        expect(queue.shift()).toBeUndefined()
      }),
    )
  })
})

it('never runs a task that was refused or aborted while it waited', async () => {
  const offloader = offloaderWith({ queue: 5 })
  const hold = gate()
  const held = task(offloader, 'gate')(hold.cells)
  await hold.entered(1)
  const counter = cells()
  const bump = task(offloader, 'bump')
  const controllers = Array.from({ length: 10 }, () => new AbortController())
  const calls = controllers.map(({ signal }) => bump(counter, { signal }))
  const results = Promise.allSettled(calls)
  controllers[1]!.abort()
  controllers[3]!.abort()
  hold.open()
  const fulfilled = (await results).filter(({ status }) => status === 'fulfilled')
  await held
  await until(() => offloader.stats().threads.idle === 1, 'the thread is idle')
  expect(counter[0]).toBe(fulfilled.length)
  expect(fulfilled).toHaveLength(3)
})
