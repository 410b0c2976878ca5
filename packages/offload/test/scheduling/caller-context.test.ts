import { heardInRequests } from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import { gate, offloaderWith, task } from '../support.js'

/** A run ends in the context of its thread's message; it is told of in the context of the request that it was for. */

const REQUESTS = Array.from({ length: 12 }, (_, request) => request)

describe('T6 the context of a call', () => {
  it('T6 is its own request, of 12 at once that run one after the other', async () => {
    const echo = task(offloaderWith(), 'echo')
    const heard = await heardInRequests(['spillway:offload:run'], 12, (request) => echo(request))
    expect(heard.map(({ request }) => request).sort((a, b) => a! - b!)).toEqual(REQUESTS)
  })

  it('T6 is its own request, of 12 that are refused after they waited', async () => {
    const offloader = offloaderWith({ threads: 1, queue: 20 })
    await offloader.warm()
    const hold = gate()
    const held = task(offloader, 'gate')(hold.cells)
    await hold.entered(1)
    const channels = ['spillway:offload:run', 'spillway:offload:refuse']
    const echo = task(offloader, 'echo', { maxWait: 30 } as never)
    const heard = await heardInRequests(channels, 12, (request) => echo(request).catch(() => {}))
    hold.open()
    await held
    for (const name of channels) {
      const requests = heard.filter(({ channel }) => channel === name).map(({ request }) => request)
      expect(requests.sort((a, b) => a! - b!)).toEqual(REQUESTS)
    }
  })

  it('T6 is its own request, of 12 that are left when the offloader closes', async () => {
    const offloader = offloaderWith({ threads: 1, queue: 20 })
    await offloader.warm()
    const hold = gate()
    const held = task(offloader, 'gate')(hold.cells).catch(() => {})
    await hold.entered(1)
    const echo = task(offloader, 'echo')
    const heard = await heardInRequests(['spillway:offload:run'], 12, async (request) => {
      const settled = echo(request).catch(() => {})
      if (request === 11) await offloader.close({ timeout: 0 })
      await settled
    })
    await held
    const own = heard
      .filter(({ message }) => (message as { task: string }).task === 'echo')
      .map(({ request }) => request)
    expect(own.sort((a, b) => a! - b!)).toEqual(REQUESTS)
  })
})
