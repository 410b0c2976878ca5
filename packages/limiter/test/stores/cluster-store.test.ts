import cluster, { type Worker } from 'node:cluster'
import { eventually } from '@spillway/testkit'
import { afterEach, describe, expect, it } from 'vitest'
import { type ClusterStoreServer, clusterStore, RateLimiter, serveClusterStore } from '../../src/index.js'
import { clusterWorld, forkWorker, type Options, type TestWorker } from '../subjects.js'
import { storeContract } from './contract.js'

storeContract('the primary of node:cluster', clusterWorld)

describe('the cluster store', () => {
  const cleanups: (() => unknown)[] = []
  afterEach(async () => {
    for (const clean of cleanups.splice(0).reverse()) await clean()
  })

  async function fork(options: object = {}): Promise<TestWorker> {
    const worker = await forkWorker(options)
    cleanups.push(() => worker.stop())
    return worker
  }

  function serve(): ClusterStoreServer {
    const server = serveClusterStore()
    cleanups.push(() => server.close())
    return server
  }

  const settings: Options = { name: 'shared', limit: 5, window: '30d', onStoreFailure: 'deny' }

  it('holds one limit over all workers, of plain node:cluster', async () => {
    const server = serve()
    const workers = await Promise.all([fork({ deadline: '20s' }), fork({ deadline: '20s' })])
    const limiters = await Promise.all(workers.map((worker) => worker.limiter(settings)))
    const decisions = await Promise.all(Array.from({ length: 20 }, (_, i) => limiters[i % 2]!.consume('a')))
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(5)
    expect(decisions.every(({ source }) => source === 'cluster')).toBe(true)
    expect(server.stats()).toMatchObject({ keys: 1, late: 0 })
  })

  it('remembers when a worker is killed and another one takes its place', async () => {
    serve()
    const first = await fork({ deadline: '20s' })
    const limiter = await first.limiter(settings)
    await limiter.consume('a', { cost: 4 })
    await first.stop()
    const second = await fork({ deadline: '20s' })
    expect((await (await second.limiter(settings)).consume('a')).remaining).toBe(0)
  })

  it('L38: a worker that starts before the primary serves decides by its policy, then shares', async () => {
    const worker = await fork({ deadline: 300 })
    const limiter = await worker.limiter(settings)
    const down = worker.event('down')
    for (let i = 0; i < 3; i++) {
      expect(await limiter.consume('a')).toMatchObject({ source: 'fallback', unavailable: true })
    }
    expect(await down).toMatch(/No answer/)
    const up = worker.event('up')
    serve()
    await eventually(async () => expect((await limiter.consume('a', { cost: 0 })).source).toBe('cluster'))
    await up
    expect(await worker.call('stats')).toMatchObject({ store: 'cluster', up: true })
  })

  it('decides by the policy when the primary stops serving, and comes back', async () => {
    const server = serve()
    const worker = await fork({ deadline: 300 })
    const limiter = await worker.limiter(settings)
    await eventually(async () => expect((await limiter.consume('a', { cost: 0 })).source).toBe('cluster'))
    await server.close()
    expect((await limiter.consume('a')).source).toBe('fallback')
    serve()
    await eventually(async () => expect((await limiter.consume('a', { cost: 0 })).source).toBe('cluster'))
  })

  it('does nothing for a call that comes too late', async () => {
    const server = serve()
    const worker = await fork({ deadline: '20s' })
    const answer = new Promise<Record<string, unknown>>((resolve) => {
      const { send } = worker.worker
      worker.worker.send = function (this: Worker, message: Record<string, unknown>, ...rest: never[]) {
        if (message.type === 'answer') resolve(message)
        return Reflect.apply(send, this, [message, ...rest]) as boolean
      } as Worker['send']
    })
    const numbers = [0, 1, 1, 1, 1, 5, 5, 1e9, 0]
    cluster.emit('message', worker.worker, {
      spillway: 'limiter',
      type: 'ask',
      id: 7,
      keys: ['x a'],
      numbers,
      latest: 1,
    })
    expect(await answer).toMatchObject({ id: 7, numbers: [] })
    expect(server.stats()).toMatchObject({ keys: 0, late: 1 })
  })

  it('ignores the messages of others', async () => {
    const server = serve()
    const worker = await fork({ deadline: '20s' })
    for (const message of [null, 'text', 7, { spillway: 'cluster', type: 'ask' }, { type: 'ask' }]) {
      cluster.emit('message', worker.worker, message)
    }
    expect(server.stats().calls).toBe(0)
  })

  it('serves once, and only in the primary', async () => {
    serve()
    expect(() => serveClusterStore()).toThrow(expect.objectContaining({ code: 'ERR_LIMITER_PRIMARY' }))
    expect(() => serveClusterStore({ maxKey: 1 } as never)).toThrow(/did you mean "maxKeys"/)
    expect(cluster.listenerCount('message')).toBe(1)
  })

  it('keeps the buckets in the process itself where there is no primary', async () => {
    const store = clusterStore()
    const limiter = new RateLimiter({ ...settings, store } as never)
    expect(await limiter.consume('a')).toMatchObject({ source: 'cluster', remaining: 4 })
    await store.close()
  })
})
