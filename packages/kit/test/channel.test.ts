import diagnosticsChannel from 'node:diagnostics_channel'
import { expect, it, vi } from 'vitest'
import { channel } from '../src/index.js'

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
