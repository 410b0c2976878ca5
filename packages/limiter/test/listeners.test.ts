import { execFile } from 'node:child_process'
import { EventEmitter, getEventListeners, once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import express from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { rateLimit } from '../src/express.js'
import { ConcurrencyLimiter, RateLimiter, redisStore } from '../src/index.js'

function warnings(): Error[] {
  const seen: Error[] = []
  const note = (warning: Error) => void seen.push(warning)
  process.on('warning', note)
  onTestFinished(() => void process.off('warning', note))
  return seen
}

describe('what many calls share', () => {
  it('O41 one signal, by calls that wait and calls in flight', async () => {
    const seen = warnings()
    const controller = new AbortController()
    const { signal } = controller
    const store = redisStore(
      { callBuffer: () => new Promise(() => {}), on() {}, off() {} },
      { deadline: '20s' },
    )
    const limiter = new RateLimiter({ name: 'a', limit: 1, window: '30d', store })
    const gate = new ConcurrencyLimiter({ limit: 1, queue: 100, maxWait: '10s' })
    const { release } = await gate.acquire()
    const waiting = [
      ...Array.from({ length: 20 }, () => limiter.consume('a', { signal })),
      ...Array.from({ length: 20 }, () => gate.acquire({ signal })),
    ]
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    controller.abort(new Error('enough'))
    const results = await Promise.allSettled(waiting)
    expect(results.every((each) => each.status === 'rejected' && each.reason.message === 'enough')).toBe(true)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    release()
    await store.close()
    await setImmediate()
    expect(seen).toEqual([])
  })

  it('O41 one client of Redis, by many stores', async () => {
    const seen = warnings()
    const client = Object.assign(new EventEmitter(), { callBuffer: async () => null })
    const stores = Array.from({ length: 20 }, (_, i) => redisStore(client, { prefix: `p${i}` }))
    expect(client.listenerCount('ready')).toBe(1)
    await Promise.all(stores.map((store) => store.close()))
    expect(client.listenerCount('ready')).toBe(0)
    await setImmediate()
    expect(seen).toEqual([])
  })

  it('O41 one response, by many limiters that may give the cost back', async () => {
    const seen = warnings()
    const app = express()
    const limiters = Array.from(
      { length: 20 },
      (_, i) => new RateLimiter({ name: `n${i}`, limit: 5, window: '30d' }),
    )
    for (const limiter of limiters) app.use(rateLimit({ limiter, key: () => 'a', refundOn: () => true }))
    app.get('/', (_, res) => void res.send('ok'))
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text()
    for (const limiter of limiters) await expect.poll(() => limiter.peek('a').remaining).toBe(5)
    expect(seen).toEqual([])
  })

  it('L50, O41 one channel to the primary, by many stores: none hears the answers of another', async () => {
    const file = fileURLToPath(new URL('./fixtures/many-stores.mjs', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 25_000 })
    const round = (n: number) => Array.from({ length: 20 }, (_, i) => 10 + i - n)
    expect(JSON.parse(stdout)).toEqual({ left: [1, 2, 3].map(round), warnings: [] })
  })
})
