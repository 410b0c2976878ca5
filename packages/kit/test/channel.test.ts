import { AsyncLocalStorage } from 'node:async_hooks'
import diagnosticsChannel from 'node:diagnostics_channel'
import { describe, expect, it, vi } from 'vitest'
import { callerOf, channel } from '../src/index.js'

it('builds the message only for a subscriber', () => {
  const events = channel<{ count: number }>('spillway:kit:test')
  const message = vi.fn(() => ({ count: 1 }))
  const listener = vi.fn()

  events.publish(message)
  expect(events.active).toBe(false)
  expect(message).not.toHaveBeenCalled()

  diagnosticsChannel.subscribe('spillway:kit:test', listener)
  try {
    expect(events.active).toBe(true)
    events.publish(message)
    expect(message).toHaveBeenCalledTimes(1)
    expect(listener).toHaveBeenCalledExactlyOnceWith({ count: 1 }, 'spillway:kit:test')
  } finally {
    diagnosticsChannel.unsubscribe('spillway:kit:test', listener)
  }
  events.publish(message)
  expect(message).toHaveBeenCalledTimes(1)
  expect(events.active).toBe(false)
  expect(events.name).toBe('spillway:kit:test')
})

it('is one channel for every copy of a package', () => {
  const listener = vi.fn()
  diagnosticsChannel.subscribe('spillway:kit:copies', listener)
  try {
    channel('spillway:kit:copies').publish(() => ({}))
    channel('spillway:kit:copies').publish(() => ({}))
  } finally {
    diagnosticsChannel.unsubscribe('spillway:kit:copies', listener)
  }
  expect(listener).toHaveBeenCalledTimes(2)
})

describe('T6 the context of the caller', () => {
  const events = channel<{ of: number }>('spillway:kit:callers')
  const storage = new AsyncLocalStorage<number>()

  it('T6 is kept while a call waits, and published in, whoever ends the wait', () => {
    const heard: (number | undefined)[] = []
    const listener = () => void heard.push(storage.getStore())
    diagnosticsChannel.subscribe(events.name, listener)
    try {
      const waiting = [1, 2, 3].map((request) => storage.run(request, () => callerOf([events])))
      storage.run(99, () => {
        for (const caller of waiting) events.publish(() => ({ of: 1 }), caller)
        events.publish(() => ({ of: 1 }))
      })
      for (const caller of waiting) events.publish(() => ({ of: 1 }), caller)
    } finally {
      diagnosticsChannel.unsubscribe(events.name, listener)
    }
    expect(heard).toEqual([1, 2, 3, 99, 1, 2, 3])
  })

  it('T6 is not looked for while nobody listens', () => {
    expect(storage.run(1, () => callerOf([events]))).toBeUndefined()
  })
})
