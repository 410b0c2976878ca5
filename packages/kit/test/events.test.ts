import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { notify } from '../src/index.js'

interface Events {
  change: [from: number, to: number]
  error: [error: Error]
}

let warnings: (Error & { code?: string })[]
const collect = (warning: Error) => warnings.push(warning)

beforeEach(() => {
  warnings = []
  process.on('warning', collect)
})

afterEach(() => process.off('warning', collect))

describe('notify', () => {
  it('calls the listeners in order, with the arguments and the emitter', () => {
    const emitter = new EventEmitter<Events>()
    const calls: unknown[] = []
    emitter.on('change', function (this: unknown, from, to) {
      calls.push([this === emitter, from, to])
    })
    emitter.prependListener('change', () => calls.push('first'))
    notify(emitter, 'change', 1, 2)
    expect(calls).toEqual(['first', [true, 1, 2]])
  })

  it('calls a once listener once', () => {
    const emitter = new EventEmitter<Events>()
    const listener = vi.fn()
    emitter.once('change', listener)
    notify(emitter, 'change', 1, 2)
    notify(emitter, 'change', 2, 3)
    expect(listener).toHaveBeenCalledExactlyOnceWith(1, 2)
  })

  it("keeps a listener's exception from the caller and from the other listeners, and warns", async () => {
    const emitter = new EventEmitter<Events>()
    const other = vi.fn()
    emitter.on('change', () => {
      throw new Error('mistake')
    })
    emitter.on('change', other)
    notify(emitter, 'change', 1, 2)
    expect(other).toHaveBeenCalledTimes(1)
    await vi.waitFor(() => expect(warnings).toHaveLength(1))
    expect(warnings[0]).toMatchObject({
      code: 'SPILLWAY_LISTENER',
      message: expect.stringMatching(/"change".*mistake/s),
    })
  })

  it('warns of a rejected promise too, and of a thrown value that is no Error', async () => {
    const emitter = new EventEmitter<Events>()
    emitter.on('change', () => Promise.reject(new Error('late mistake')))
    emitter.on('change', () => {
      throw 'text'
    })
    notify(emitter, 'change', 1, 2)
    await vi.waitFor(() => expect(warnings).toHaveLength(2))
    expect(warnings.map(({ message }) => message).join()).toMatch(/text.*late mistake/s)
  })

  it('is no exception when nobody listens, not even for an error', () => {
    const emitter = new EventEmitter<Events>()
    expect(() => notify(emitter, 'error', new Error('unheard'))).not.toThrow()
    expect(() => notify(emitter, 'change', 1, 2)).not.toThrow()
  })

  it('goes on with the listeners of the beginning when one takes another off', () => {
    const emitter = new EventEmitter<Events>()
    const second = vi.fn()
    emitter.on('change', () => emitter.off('change', second))
    emitter.on('change', second)
    notify(emitter, 'change', 1, 2)
    notify(emitter, 'change', 1, 2)
    expect(second).toHaveBeenCalledTimes(1)
  })
})
