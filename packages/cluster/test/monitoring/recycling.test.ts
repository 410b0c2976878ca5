import { load } from '@spillway/testkit'
import { describe, expect, it, onTestFinished } from 'vitest'
import { PATIENCE, running, settled } from '../primary.js'

const FAST = { interval: 100, deadline: 60_000 }

function under(url: string, connections: number) {
  const stopping = new AbortController()
  const loading = load({ url, connections, durationMs: 2 * PATIENCE, signal: stopping.signal })
  onTestFinished(() => stopping.abort())
  return () => {
    stopping.abort()
    return loading
  }
}

describe('autoscale', () => {
  it('adds a worker under load and removes it when the load is gone, without losing a request', async () => {
    const autoscale = { min: 1, max: 2, up: 0.5, down: 0.2, upAfter: 200, downAfter: 400 }
    const supervisor = await running({ workers: 1, heartbeat: FAST, autoscale })
    const url = await supervisor.url()
    const stop = under(`${url}/hang?wait=20`, 4)
    expect(await supervisor.until('scale')).toMatchObject({ from: 1, to: 2, by: 'load' })
    await settled(supervisor, 2)
    expect((await stop()).failures).toEqual([])
    expect(await supervisor.until('scale', ({ to }) => to === 1)).toMatchObject({ from: 2, by: 'load' })
    expect(await supervisor.until('exit')).toMatchObject({ code: 0, signal: null, lost: 0 })
    expect((await supervisor.call('stats')).restarts).toEqual({ scale: 1 })
  })
})

describe('maxAge and maxRequests', () => {
  it.each([
    ['age', { maxAge: '1s' }],
    ['requests', { maxRequests: 100 }],
  ])('replace workers by %s, the replacement first, without losing a request', async (reason, marks) => {
    const supervisor = await running({ heartbeat: FAST, ...marks })
    const first = (await supervisor.call('stats')).workers.map(({ pid }: any) => pid)
    const stop = under(await supervisor.url(), 4)
    for (const pid of first) await supervisor.until('exit', (exit) => exit.pid === pid)
    expect((await stop()).failures).toEqual([])
    expect((await supervisor.call('stats')).restarts[reason]).toBeGreaterThanOrEqual(2)
    const order = supervisor.events.map(({ type }) => type)
    const ready = (until: number) => order.slice(0, until).filter((type) => type === 'ready').length
    const gone = (until: number) => order.slice(0, until).filter((type) => type === 'exit').length
    const least = order.flatMap((type, i) => (type === 'exit' ? [ready(i) - gone(i + 1)] : []))
    expect(Math.min(...least)).toBe(2)
  })
})
