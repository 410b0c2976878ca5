import { describe, expect, it } from 'vitest'
import { TaskTimeoutError } from '../../src/index.js'
import { cells, gate, offloaderWith, rejection, task, until } from '../support.js'

/** The counter of a busy task stands still: nothing runs there any more. */
async function quiet(counter: Int32Array): Promise<void> {
  let last = -1
  await until(() => {
    const now = Atomics.load(counter, 0)
    const still = now === last
    last = now
    return still
  }, 'the counter stands still')
}

function block(milliseconds: number): void {
  Atomics.wait(cells(), 0, 0, milliseconds)
}

describe('stopping', () => {
  it('O16: twenty aborts of tasks that listen cost no thread', async () => {
    const offloader = offloaderWith({ grace: '10s' })
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController()
      const call = task(offloader, 'sleep')(60_000, { signal: controller.signal })
      setImmediate(() => controller.abort(new Error(`abort ${i}`)))
      expect((await rejection(call)).message).toBe(`abort ${i}`)
    }
    expect(await task(offloader, 'echo')('next')).toBe('next')
    expect(offloader.stats().threads).toMatchObject({ started: 1, alive: 1 })
    expect(offloader.stats().calls).toMatchObject({ aborted: 20, completed: 1 })
  })

  it('O16: a signal that aborts before the task has started there stops it all the same', async () => {
    const offloader = offloaderWith({ grace: '10s' })
    await offloader.warm()
    const controller = new AbortController()
    const call = task(offloader, 'sleep')(60_000, { signal: controller.signal })
    controller.abort(new Error('at once'))
    expect((await rejection(call)).message).toBe('at once')
    expect(await task(offloader, 'echo')('next')).toBe('next')
    expect(offloader.stats().threads.started).toBe(1)
  })

  it('O17: a loop that never listens is ended with its thread, and the caller need not wait for that', async () => {
    const offloader = offloaderWith({ grace: 20 })
    const counter = cells()
    const controller = new AbortController()
    const call = rejection(task(offloader, 'spin')(counter, { signal: controller.signal }))
    await until(() => Atomics.load(counter, 0) > 0, 'it spins')
    controller.abort(new Error('stop'))
    expect((await call).message).toBe('stop')
    expect(await task(offloader, 'echo')('next')).toBe('next')
    await quiet(counter)
    expect(offloader.stats().threads.started).toBe(2)
  })

  it('a loop that checks ends by itself and keeps its thread', async () => {
    const offloader = offloaderWith({ grace: '10s' })
    const counter = cells()
    const controller = new AbortController()
    const call = rejection(task(offloader, 'spinPolitely')(counter, { signal: controller.signal }))
    await until(() => Atomics.load(counter, 0) > 0, 'it spins')
    controller.abort(new Error('stop'))
    await call
    expect(await task(offloader, 'echo')('next')).toBe('next')
    await quiet(counter)
    expect(offloader.stats().threads.started).toBe(1)
  })

  it('a timeout rejects with 504 and ends the work', async () => {
    const offloader = offloaderWith({ timeout: 50, grace: 10 })
    const counter = cells()
    const error = await rejection(task(offloader, 'spin')(counter))
    expect(error).toBeInstanceOf(TaskTimeoutError)
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_TIMEOUT', status: 504, task: 'spin', timeout: 50 })
    expect(await task(offloader, 'echo')('next', { timeout: false })).toBe('next')
    await quiet(counter)
  })

  it('what was done in time while our own event loop was blocked is no timeout, and costs no thread', async () => {
    const offloader = offloaderWith({ timeout: 40, grace: 20 })
    const echo = task(offloader, 'echo')
    await echo('warm', { timeout: false })
    const call = echo('in time')
    block(400)
    expect(await call).toBe('in time')
    const controller = new AbortController()
    const counter = cells()
    const polite = rejection(
      task(offloader, 'spinPolitely')(counter, { signal: controller.signal, timeout: false }),
    )
    await until(() => Atomics.load(counter, 0) > 0, 'it spins')
    controller.abort(new Error('stop'))
    block(400)
    expect((await polite).message).toBe('stop')
    expect(await echo('same thread', { timeout: false })).toBe('same thread')
    expect(offloader.stats().threads.started).toBe(1)
  })

  it('a task that awaits and does not listen is ended with its thread', async () => {
    const offloader = offloaderWith({ grace: 10 })
    expect(await rejection(task(offloader, 'deaf')(60_000, { timeout: 30 }))).toMatchObject({
      code: 'ERR_OFFLOAD_TIMEOUT',
    })
    expect(await task(offloader, 'echo')('next')).toBe('next')
    expect(offloader.stats().threads.started).toBe(2)
  })

  it('a signal that has aborted already starts nothing', async () => {
    const offloader = offloaderWith()
    const reason = new Error('before')
    expect(await rejection(task(offloader, 'echo')(1, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    expect(offloader.stats().threads.started).toBe(0)
  })

  it('takes its listener off the signal of every call, however it ends', async () => {
    const offloader = offloaderWith({ queue: 1 })
    const { signal } = new AbortController()
    let listeners = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--
      remove(...args)
    }
    const hold = gate()
    const calls = [
      task(offloader, 'gate')(hold.cells, { signal }),
      task(offloader, 'echo')(1, { signal }),
      task(offloader, 'echo')(2, { signal }),
    ]
    const settled = Promise.allSettled(calls)
    hold.open()
    await settled
    await rejection(task(offloader, 'failWith')('error', { signal }))
    await rejection(task(offloader, 'exit')(0, { signal }))
    expect(listeners).toBe(0)
  })
})
