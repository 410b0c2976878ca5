import { getEventListeners } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { abortable, MAX_TIMER, sleep } from '../src/index.js'
import { latch, withoutLeak, withoutUnhandled } from '../testing/index.js'

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

describe('abortable', () => {
  it('is the promise itself without a signal', () => {
    const promise = Promise.resolve(1)
    expect(abortable(promise, undefined)).toBe(promise)
  })

  it('settles like the promise, and takes its listener off', async () => {
    const { signal } = new AbortController()
    await expect(abortable(Promise.resolve(1), signal)).resolves.toBe(1)
    const cause = new Error('cause')
    await expect(abortable(Promise.reject(cause), signal)).rejects.toBe(cause)
    await vi.waitFor(() => expect(listeners(signal)).toBe(0))
  })

  it('rejects with the reason, whatever it is, when the signal aborts first', async () => {
    const controller = new AbortController()
    const never = latch()
    const waiting = abortable(never.promise, controller.signal)
    controller.abort('a reason')
    await expect(waiting).rejects.toBe('a reason')
  })

  it('rejects at once when the signal has aborted, and swallows what the promise does later', async () => {
    await withoutUnhandled(async () => {
      const late = abortable(Promise.reject(new Error('too late')), AbortSignal.abort('before'))
      await expect(late).rejects.toBe('before')
    })
  })

  it('leaves no unhandled rejection when the promise fails after the abort', async () => {
    await withoutUnhandled(async () => {
      const controller = new AbortController()
      const failing = latch<never>()
      const late = failing.promise.then(() => Promise.reject(new Error('afterwards')))
      const waiting = abortable(late, controller.signal)
      controller.abort('gone')
      await expect(waiting).rejects.toBe('gone')
      failing.open(undefined as never)
    })
  })
})

describe('sleep', () => {
  it('wakes up, and takes its listener off', async () => {
    const { signal } = new AbortController()
    const asleep = sleep(1, { signal, ref: true })
    expect(listeners(signal)).toBe(1)
    await asleep
    expect(listeners(signal)).toBe(0)
  })

  it('rejects with the reason on abort, before and meanwhile, and leaves no timer', async () => {
    await withoutLeak(async () => {
      await expect(sleep(60_000, { signal: AbortSignal.abort('before'), ref: true })).rejects.toBe('before')
      const controller = new AbortController()
      const asleep = sleep(60_000, { signal: controller.signal, ref: true })
      controller.abort('meanwhile')
      await expect(asleep).rejects.toBe('meanwhile')
      expect(listeners(controller.signal)).toBe(0)
    })
  })

  it('does not keep the process alive unless told to', async () => {
    const controller = new AbortController()
    const asleep: Promise<void>[] = []
    await withoutLeak(async () => {
      asleep.push(sleep(60_000, { signal: controller.signal }))
    })
    controller.abort('over')
    await expect(asleep[0]).rejects.toBe('over')
  })

  it('sleeps as long as a timer can when asked for longer, instead of not at all', () => {
    vi.useFakeTimers()
    try {
      void sleep(Number.POSITIVE_INFINITY)
      vi.advanceTimersByTime(MAX_TIMER - 1)
      expect(vi.getTimerCount()).toBe(1)
      vi.advanceTimersByTime(1)
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})
