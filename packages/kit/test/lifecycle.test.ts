import { describe, expect, it, vi } from 'vitest'
import { closeOnce, drainWithin } from '../src/index.js'
import { latch, withoutLeak } from '../testing/index.js'

describe('closeOnce', () => {
  it('releases once and gives every caller the same promise', async () => {
    const finish = latch()
    const release = vi.fn(() => finish.promise)
    const close = closeOnce(release)
    const first = close({ timeout: 5 })
    const second = close()
    expect(second).toBe(first)
    finish.open()
    await first
    expect(close()).toBe(first)
    expect(release).toHaveBeenCalledExactlyOnceWith({ timeout: 5 })
  })

  it('begins at once, so that nothing is admitted after the call', () => {
    const release = vi.fn()
    void closeOnce(release)()
    expect(release).toHaveBeenCalledExactlyOnceWith({})
  })

  it('keeps a failure for every caller, also one thrown synchronously', async () => {
    const close = closeOnce(() => {
      throw new Error('cannot')
    })
    await expect(close()).rejects.toThrow('cannot')
    await expect(close()).rejects.toThrow('cannot')
  })
})

describe('drainWithin', () => {
  const never = new Promise<never>(() => {})

  it('tells that the work was done in time, also when it failed', async () => {
    expect(await drainWithin(Promise.resolve(), {}, '1m')).toBe(true)
    expect(await drainWithin(Promise.reject(new Error('failed')), {}, '1m')).toBe(true)
    expect(await drainWithin(Promise.resolve(), { timeout: 0 }, '1m')).toBe(true)
  })

  it('gives up after the timeout of the caller, or else the fallback', async () => {
    expect(await drainWithin(never, { timeout: '5ms' }, '1h')).toBe(false)
    expect(await drainWithin(never, {}, 5)).toBe(false)
  })

  it('gives up when the signal aborts, before and meanwhile', async () => {
    expect(await drainWithin(never, { signal: AbortSignal.abort() }, '1h')).toBe(false)
    const controller = new AbortController()
    const drained = drainWithin(never, { signal: controller.signal }, '1h')
    controller.abort()
    expect(await drained).toBe(false)
  })

  it('takes the fallback for a timeout that is none, instead of cutting the work off', async () => {
    const work = latch()
    const drained = drainWithin(work.promise, { timeout: 'soon' as '1s' }, '1h')
    setTimeout(() => work.open(), 5)
    expect(await drained).toBe(true)
  })

  it('takes its timer back when the work is done', async () => {
    vi.useFakeTimers()
    try {
      await drainWithin(Promise.resolve(), {}, '1h')
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  it('keeps nothing alive', async () => {
    await withoutLeak(async () => {
      await drainWithin(Promise.resolve(), {}, '1h')
      void drainWithin(never, {}, '1h')
    })
  })
})
