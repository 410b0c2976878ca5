import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { FakeClock } from '@spillway/kit/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { OverloadedError, RejectedError, ThreadError } from '../src/index.js'
import { cells, gate, offloaderWith, rejection, task, until } from './support.js'

describe('a thread that is lost', () => {
  it('O1: process.exit() rejects its task with the exit code, and the queue goes on', async () => {
    const offloader = offloaderWith()
    const exit = task(offloader, 'exit')
    const [lost, ...others] = await Promise.allSettled([exit(0), task(offloader, 'echo')(1), exit(7)])
    expect(lost).toMatchObject({ status: 'rejected', reason: { code: 'ERR_OFFLOAD_EXIT', exitCode: 0 } })
    expect(others).toMatchObject([{ value: 1 }, { reason: { exitCode: 7, name: 'ThreadError' } }])
    expect((lost as PromiseRejectedResult).reason).toBeInstanceOf(ThreadError)
    expect(offloader.stats().calls).toMatchObject({ completed: 1, crashed: 2 })
  })

  it('O2: tasks that wait while the last thread goes get a new one', async () => {
    const offloader = offloaderWith({ minThreads: 0 })
    const results = await Promise.allSettled([
      task(offloader, 'exit')(0),
      task(offloader, 'echo')('second'),
      task(offloader, 'spin')(cells(), { timeout: 30 }),
      task(offloader, 'echo')('fourth'),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled'])
  })

  it('O3: after aborting a queued and then the running task, later ones start', async () => {
    const offloader = offloaderWith()
    const spinning = cells()
    const running = new AbortController()
    const queued = new AbortController()
    const first = rejection(task(offloader, 'spin')(spinning, { signal: running.signal }))
    const second = rejection(task(offloader, 'noop')(undefined, { signal: queued.signal }))
    const third = task(offloader, 'echo')('third')
    await until(() => Atomics.load(spinning, 0) > 0, 'the first task runs')
    queued.abort(new Error('second'))
    running.abort(new Error('first'))
    expect([(await first).message, (await second).message, await third]).toEqual(['first', 'second', 'third'])
    expect(await task(offloader, 'echo')('fourth')).toBe('fourth')
  })

  it.each([
    ['throwLater', 'TypeError', 'nobody caught this'],
    ['rejectUnhandled', 'RangeError', 'nobody handled this'],
  ])('rejects exactly the task of a thread that dies of %s, with the cause', async (name, cause, message) => {
    const offloader = offloaderWith({ threads: 2 })
    const hold = gate()
    const neighbour = task(offloader, 'gate')(hold.cells)
    await hold.entered(1)
    const error = await rejection(task(offloader, name)())
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_CRASH', cause: { name: cause, message } })
    hold.open()
    expect(await neighbour).toBeTypeOf('number')
  })

  it('O18: a result that cannot be cloned does not touch the task of another thread', async () => {
    const offloader = offloaderWith({ threads: 2 })
    const hold = gate()
    const neighbour = task(offloader, 'gate')(hold.cells)
    await hold.entered(1)
    expect(await rejection(task(offloader, 'badResult')('deep'))).toMatchObject({ code: 'ERR_OFFLOAD_CLONE' })
    hold.open()
    await expect(neighbour).resolves.toBeTypeOf('number')
    expect(offloader.stats().threads.started).toBe(2)
  })

  it('O29: a thread that dies between tasks is replaced and takes nothing down', async () => {
    const offloader = offloaderWith()
    await task(offloader, 'rejectAndReturn')()
    await until(() => offloader.stats().threads.alive === 0, 'the thread is gone')
    expect(await task(offloader, 'echo')('next')).toBe('next')
  })

  it('O29: calls that come while a thread is dying wait for the next one', async () => {
    const offloader = offloaderWith()
    const leave = task(offloader, 'rejectAndReturn')
    const echo = task(offloader, 'echo')
    for (let i = 0; i < 5; i++) {
      // Without a pause: some of these meet the thread between its error and its end.
      const first = leave()
      const calls = Array.from({ length: 20 }, (_, n) => first.then(() => echo(n)))
      const ends = await Promise.allSettled(calls)
      const reasons = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason.code] : []))
      expect(reasons.filter((code) => code !== 'ERR_OFFLOAD_CRASH')).toEqual([])
      expect(await echo('next')).toBe('next')
    }
  })
})

describe('memory', () => {
  it('O31: a task that fills the heap is rejected, and its thread replaced', async () => {
    const offloader = offloaderWith({ memory: '32mb' })
    const error = await rejection(task(offloader, 'heapBomb')())
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_MEMORY', cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' } })
    expect(await task(offloader, 'echo')(1)).toBe(1)
  })

  it('O31: resourceLimits hold as well', async () => {
    const offloader = offloaderWith({ resourceLimits: { maxOldGenerationSizeMb: 24 } })
    expect(await rejection(task(offloader, 'heapBomb')())).toMatchObject({ code: 'ERR_OFFLOAD_MEMORY' })
  })

  it('O31: 300 MB outside the heap do not pass a 32 MB limit', async () => {
    const offloader = offloaderWith({ memory: '32mb' })
    const before = await task(offloader, 'thread')()
    expect(await rejection(task(offloader, 'bufferBomb')(300 * 1024 ** 2))).toMatchObject({
      code: 'ERR_OFFLOAD_MEMORY',
    })
    expect(await task(offloader, 'thread')()).not.toBe(before)
  })

  it('O31: the watch sees them while the task awaits', async () => {
    const offloader = offloaderWith({ memory: '32mb', timeout: false })
    expect(await rejection(task(offloader, 'slowBufferBomb')(300 * 1024 ** 2))).toMatchObject({
      code: 'ERR_OFFLOAD_MEMORY',
    })
    expect(await task(offloader, 'echo')(1)).toBe(1)
  })
})

describe('a module that fails', () => {
  it('O4: rejects all that wait, is not tried again at once, and works after it is repaired', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'offload-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'broken.mjs')
    writeFileSync(file, `throw new TypeError('not today')`)
    const clock = new FakeClock()
    const offloader = offloaderWith({ clock })
    const answer = offloader.task<{ answer(): number }>(pathToFileURL(file), 'answer')
    const errors = await Promise.all([rejection(answer()), rejection(answer()), rejection(answer())])
    for (const error of errors) {
      expect(error).toMatchObject({
        name: 'ThreadError',
        code: 'ERR_OFFLOAD_LOAD',
        cause: { name: 'TypeError', message: 'not today' },
      })
    }
    const { started } = offloader.stats().threads
    writeFileSync(file, 'export const answer = () => 42')
    expect(await rejection(answer())).toMatchObject({ code: 'ERR_OFFLOAD_LOAD' })
    expect(offloader.stats().threads.started).toBe(started)
    clock.advance(100)
    expect(await answer()).toBe(42)
  })

  it('O4: threads that do not start reject all that wait, and are tried again after a pause', async () => {
    const clock = new FakeClock()
    const offloader = offloaderWith({
      clock,
      execArgv: ['--import', 'data:text/javascript,throw new Error("no boot")'],
    })
    const echo = task(offloader, 'echo')
    const errors = await Promise.all([rejection(echo(1)), rejection(echo(2))])
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'ERR_OFFLOAD_BOOT', cause: { message: 'no boot' } })
    }
    const { started } = offloader.stats().threads
    expect(await rejection(echo(3))).toMatchObject({ code: 'ERR_OFFLOAD_BOOT' })
    expect(offloader.stats().threads.started).toBe(started)
    clock.advance(100)
    expect(await rejection(echo(4))).toMatchObject({ code: 'ERR_OFFLOAD_BOOT' })
    expect(offloader.stats().threads.started).toBeGreaterThan(started)
  })

  it('O4: flags that a thread refuses are a boot error, not an exception', async () => {
    const offloader = offloaderWith({ execArgv: ['--no-such-flag'] })
    const error = await rejection(task(offloader, 'echo')(1))
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_BOOT', cause: { code: 'ERR_WORKER_INVALID_EXEC_ARGV' } })
  })
})

describe('poison', () => {
  it('refuses a task that keeps killing threads, and lets one call through after a while', async () => {
    const clock = new FakeClock()
    const offloader = offloaderWith({ clock, poison: { deaths: 2, within: '1m', cooldown: '30s' } })
    const exit = task(offloader, 'exit')
    for (let i = 0; i < 2; i++) expect(await rejection(exit(1))).toMatchObject({ code: 'ERR_OFFLOAD_EXIT' })
    const refused = await rejection(exit(1))
    expect(refused).toBeInstanceOf(OverloadedError)
    expect(refused).toBeInstanceOf(RejectedError)
    expect(refused).toMatchObject({
      code: 'ERR_OFFLOAD_POISON',
      status: 503,
      headers: { 'Retry-After': '30' },
    })
    expect(await task(offloader, 'echo')('others run')).toBe('others run')
    clock.advance(30_000)
    expect(await rejection(exit(1))).toMatchObject({ code: 'ERR_OFFLOAD_EXIT' })
    expect(await rejection(exit(1))).toMatchObject({ code: 'ERR_OFFLOAD_POISON' })
  })
})

describe('close', () => {
  it('O6: settles the running and the queued call', async () => {
    const offloader = offloaderWith()
    const spinning = cells()
    const running = rejection(task(offloader, 'spin')(spinning))
    const queued = rejection(task(offloader, 'echo')(1))
    await until(() => Atomics.load(spinning, 0) > 0, 'the first task runs')
    await offloader.close({ timeout: 10 })
    expect(await running).toMatchObject({ code: 'ERR_OFFLOAD_TERMINATED' })
    expect(await queued).toMatchObject({ code: 'ERR_OFFLOAD_CLOSED', status: 503 })
  })

  it('lets work in progress finish', async () => {
    const offloader = offloaderWith()
    const echo = task(offloader, 'echo')
    const calls = Promise.all([echo(1), echo(2), echo(3)])
    const closed = offloader.close()
    expect(offloader.close()).toBe(closed)
    await closed
    expect(await calls).toEqual([1, 2, 3])
  })

  it('O7: after it nothing runs and no thread is left', async () => {
    const offloader = offloaderWith({ minThreads: 1 })
    await task(offloader, 'echo')(1)
    await offloader.close()
    expect(offloader.stats().threads).toMatchObject({ alive: 0, started: 1 })
    const counter = cells()
    expect(await rejection(task(offloader, 'bump')(counter))).toMatchObject({ code: 'ERR_OFFLOAD_CLOSED' })
    expect(offloader.stats().threads).toMatchObject({ alive: 0, started: 1 })
    expect(counter[0]).toBe(0)
    await expect(offloader.whenFree()).resolves.toBeUndefined()
    expect(offloader.capacity).toBe(0)
  })

  it('closes while threads are starting', async () => {
    const offloader = offloaderWith({ threads: 2, minThreads: 2 })
    const call = task(offloader, 'echo')(1).catch((error) => error.code)
    await offloader.close({ timeout: 0 })
    expect([1, 'ERR_OFFLOAD_CLOSED', 'ERR_OFFLOAD_TERMINATED']).toContain(await call)
    expect(offloader.stats().threads.alive).toBe(0)
  })

  it('O8: is bounded when a thread sits in native code, and counts it as stuck', async () => {
    const offloader = offloaderWith()
    const call = rejection(task(offloader, 'nativeSleep')(4, { timeout: 100 }))
    expect(await call).toMatchObject({ code: 'ERR_OFFLOAD_TIMEOUT' })
    await offloader.close({ timeout: 0 })
    expect(offloader.stats().threads).toMatchObject({ alive: 1, stuck: 1 })
    await until(() => offloader.stats().threads.alive === 0, 'the native call ends, and the thread with it')
  })

  it('O19: does not terminate a thread whose task must not be torn down', async () => {
    const offloader = offloaderWith()
    const native = task(offloader, 'nativeSleep', { terminable: false })
    const error = await rejection(native(1, { timeout: 50 }))
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_TIMEOUT' })
    // The thread comes back by itself: the same one serves the next task.
    expect(await task(offloader, 'echo')('next')).toBe('next')
    expect(offloader.stats().threads.started).toBe(1)
  })
})
