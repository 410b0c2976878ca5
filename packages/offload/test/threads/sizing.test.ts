import diagnostics from 'node:diagnostics_channel'
import { availableCpus } from '@spillway/kit'
import { FakeClock } from '@spillway/kit/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Offloader } from '../../src/index.js'
import { automaticThreads } from '../../src/sizing.js'
import { gate, offloaderWith, rejection, task, until } from '../support.js'

describe('sizing', () => {
  it('O33: CPUs of the container shared among the workers, one left to the event loop when there are more than two', () => {
    expect(automaticThreads(2, 2)).toBe(1)
    expect(automaticThreads(1, 1)).toBe(1)
    expect(automaticThreads(2, 1)).toBe(2)
    expect(automaticThreads(8, 1)).toBe(7)
    expect(automaticThreads(8, 2)).toBe(3)
    expect(automaticThreads(2, 16)).toBe(1)
    expect(new Offloader().threads).toBe(automaticThreads(availableCpus(), 1))
  })

  it('O32: twenty bursts of three tasks use three threads', async () => {
    const offloader = offloaderWith({ threads: 3 })
    const thread = task<void, number>(offloader, 'thread')
    for (let i = 0; i < 20; i++) await Promise.all([thread(), thread(), thread()])
    expect(offloader.stats().threads.started).toBeLessThanOrEqual(3)
  })

  it('starts no thread before the first call, warms up on request, and keeps minThreads', async () => {
    const lazy = offloaderWith({ threads: 2 })
    expect(lazy.stats().threads.started).toBe(0)
    await lazy.warm()
    expect(lazy.stats().threads).toMatchObject({ started: 2, alive: 2, idle: 2, booting: 0 })
    const eager = offloaderWith({ threads: 2, minThreads: 1 })
    await until(() => eager.stats().threads.idle === 1, 'the thread is there')
  })

  it('threads that have nothing to do end, down to minThreads', async () => {
    const offloader = offloaderWith({ threads: 3, minThreads: 1, idle: 30 })
    await offloader.warm()
    await until(() => offloader.stats().threads.alive === 1, 'two have ended')
    expect(await task(offloader, 'echo')(1)).toBe(1)
    expect(offloader.stats().threads.alive).toBe(1)
  })

  it('replaces a thread after recycleAfter tasks', async () => {
    const offloader = offloaderWith({ recycleAfter: 2 })
    const thread = task<void, number>(offloader, 'thread')
    const ids = [await thread(), await thread(), await thread()]
    expect(ids[0]).toBe(ids[1])
    expect(ids[2]).not.toBe(ids[1])
    expect(offloader.stats().threads).toMatchObject({ started: 2, recycled: 1 })
  })

  it('O32: a storm of crashes does not become a storm of threads', async () => {
    const offloader = offloaderWith({
      poison: false,
      maxWait: 300,
      respawn: { burst: 3, perMinute: 1 },
    })
    const calls = Array.from({ length: 20 }, () => rejection(task(offloader, 'exit')(1)))
    const codes = (await Promise.all(calls)).map(({ code }) => code)
    expect(codes.filter((code) => code === 'ERR_OFFLOAD_EXIT').length).toBeLessThanOrEqual(3)
    expect(offloader.stats().threads.started).toBeLessThanOrEqual(3)
  })
})

describe('observation', () => {
  it('stats() tell of waits, runs, outcomes and each function', async () => {
    const clock = new FakeClock()
    const offloader = offloaderWith({ clock, idle: false, timeout: false, maxWait: false })
    const hold = gate()
    const held = task(offloader, 'gate')(hold.cells)
    await hold.entered(1)
    const waiting = task(offloader, 'echo')(1)
    clock.advance(100)
    hold.open()
    await Promise.all([held, waiting])
    await rejection(task(offloader, 'failWith')('x'))
    const { calls, wait, run, utilisation, tasks, queue } = offloader.stats()
    expect(calls).toEqual({ completed: 2, failed: 1, refused: 0, timedOut: 0, aborted: 0, crashed: 0 })
    expect([wait.count, run.count]).toEqual([3, 3])
    expect(wait.max).toBeGreaterThanOrEqual(99)
    expect(utilisation).toBeGreaterThan(0.9)
    expect(tasks.gate).toMatchObject({ completed: 1, failed: 0, running: 0 })
    expect(tasks.failWith).toMatchObject({ completed: 0, failed: 1 })
    expect(queue).toMatchObject({ size: 0, max: 1000 })
  })

  it('two tasks of one function are one entry; functions of one name are told apart', async () => {
    const offloader = offloaderWith()
    await task(offloader, 'echo')(1)
    await task(offloader, 'echo', { priority: 'high' })(2)
    const other = offloader.task<{ echo(value: number): number }>(
      new URL('../fixtures/other.mjs', import.meta.url),
      'echo',
    )
    expect(await other(3)).toBe(-3)
    expect(offloader.stats().tasks).toMatchObject({
      echo: { completed: 2 },
      'echo (other.mjs)': { completed: 1 },
    })
  })

  it('channels tell of runs, refusals and threads, without a word of the data', async () => {
    const seen: [string, unknown][] = []
    for (const event of ['run', 'refuse', 'thread']) {
      const name = `spillway:offload:${event}`
      const listen = (message: unknown) => seen.push([event, message])
      diagnostics.subscribe(name, listen)
      onTestFinished(() => void diagnostics.unsubscribe(name, listen))
    }
    const offloader = offloaderWith({ queue: 0 })
    const first = task(offloader, 'echo')('secret')
    await rejection(task(offloader, 'echo')('secret'))
    await first
    await offloader.close()
    const of = (event: string) => seen.filter(([name]) => name === event).map(([, message]) => message)
    expect(of('refuse')).toEqual([{ task: 'echo', code: 'ERR_OFFLOAD_QUEUE_FULL', retryAfter: 0, queued: 1 }])
    expect(of('run')).toEqual([
      { task: 'echo', outcome: 'completed', wait: expect.any(Number), run: expect.any(Number) },
    ])
    expect(of('thread')).toMatchObject([
      { event: 'started', reason: 'demand', threads: 1 },
      { event: 'ended', reason: 'closed' },
    ])
    expect(JSON.stringify(seen)).not.toContain('secret')
  })
})
