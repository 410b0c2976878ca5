import { describe, expect, it } from 'vitest'
import type { Task } from '../../src/index.js'
import { cells, offloaderWith, rejection, task } from '../support.js'

const WAYS = ['timer', 'chain', 'rejection', 'async', 'exit', 'throws']
const poison = { deaths: 2, within: '1m', cooldown: '30s' } as const

/** One call that leaves something behind, which goes off while the next one runs on that thread. */
async function crossed(leaves: Task<any, any, any>, way: string, victim: Task<any, any, any>, unref = false) {
  const shared = cells()
  const left = leaves({ cells: shared, way, unref })
  if (way === 'throws') await rejection(left)
  else await left
  return rejection(victim({ cells: shared }))
}

describe('a thread that ends by what an earlier task left behind', () => {
  for (const way of WAYS) {
    it(`O40 the crash is charged to the task that left it, not to the one that runs: ${way}`, async () => {
      const offloader = offloaderWith({ poison })
      const [leaves, victim] = [task(offloader, 'leaves'), task(offloader, 'victim')]
      for (let i = 0; i < 2; i++) {
        const error = await crossed(leaves, way, victim)
        expect(error).toMatchObject({ name: 'ThreadError', code: 'ERR_OFFLOAD_COLLATERAL', task: 'victim' })
        expect(error.message).toContain('leaves')
        if (way !== 'exit') expect(error.cause).toMatchObject({ message: `left behind by ${way}` })
      }
      const shared = cells()
      Atomics.store(shared, 0, 2)
      expect(await victim({ cells: shared })).toBe('done')
      expect(await rejection(leaves({ cells: shared, way }))).toMatchObject({ code: 'ERR_OFFLOAD_POISON' })
    })
  }

  it('O40 a timer that does not keep the thread alive is one, too', async () => {
    const offloader = offloaderWith({ poison })
    const error = await crossed(task(offloader, 'leaves'), 'timer', task(offloader, 'victim'), true)
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_COLLATERAL' })
  })

  it('O40 also after other tasks have left things of their own behind', async () => {
    const offloader = offloaderWith({ poison })
    const [leaves, victim] = [task(offloader, 'leaves'), task(offloader, 'victim')]
    const others = [cells(), cells(), cells()]
    for (const each of others) await leaves({ cells: each, way: 'timer' })
    expect(await task(offloader, 'echo')(1)).toBe(1)
    const done = cells()
    Atomics.store(done, 0, 2)
    await victim({ cells: done })
    const error = await rejection(victim({ cells: others[2]! }))
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_COLLATERAL' })
  })

  it('O40 what a module starts when it is loaded is charged to its task', async () => {
    const offloader = offloaderWith({ poison: { ...poison, deaths: 1 } })
    const start = offloader.task<Record<string, (cells: Int32Array) => number>>(
      new URL('../fixtures/background.mjs', import.meta.url),
      'start',
    )
    const shared = cells()
    await start(shared)
    expect(await rejection(task(offloader, 'victim')({ cells: shared }))).toMatchObject({
      code: 'ERR_OFFLOAD_COLLATERAL',
      cause: { message: 'in the background' },
    })
    expect(await rejection(start(shared))).toMatchObject({ code: 'ERR_OFFLOAD_POISON' })
  })

  it('O40 a task that ends its own thread is charged itself, whatever ran before', async () => {
    const offloader = offloaderWith({ poison })
    const [leaves, own] = [task(offloader, 'leaves'), task(offloader, 'ownFault')]
    for (let i = 0; i < 2; i++) {
      await leaves({ cells: cells(), way: 'timer' })
      expect(await rejection(own())).toMatchObject({
        code: 'ERR_OFFLOAD_CRASH',
        cause: { message: 'its own' },
      })
    }
    expect(await rejection(own())).toMatchObject({ code: 'ERR_OFFLOAD_POISON' })
    expect(await leaves({ cells: cells(), way: 'timer' })).toEqual(expect.any(Number))
  })

  it('O40 between two tasks it is charged as well, and nobody else fails', async () => {
    const offloader = offloaderWith({ poison, minThreads: 0 })
    const leaves = task(offloader, 'leaves')
    for (let i = 0; i < 2; i++) {
      const shared = cells()
      await leaves({ cells: shared, way: 'timer' })
      const { started } = offloader.stats().threads
      Atomics.store(shared, 0, 1)
      while (offloader.stats().threads.alive > 0) await new Promise((resolve) => setTimeout(resolve, 2))
      expect(offloader.stats().threads.started).toBe(started)
    }
    expect(await rejection(leaves({ cells: cells(), way: 'timer' }))).toMatchObject({
      code: 'ERR_OFFLOAD_POISON',
    })
    expect(offloader.stats().calls.crashed).toBe(0)
  })

  it('O40 an idempotent task is run again, and hears nothing of it', async () => {
    const offloader = offloaderWith({ poison })
    const leaves = task(offloader, 'leaves')
    const victim = task(offloader, 'victim', { idempotent: true })
    const [shared, runs] = [cells(), cells()]
    await leaves({ cells: shared, way: 'timer' })
    const result = victim({ cells: shared, runs })
    while (Atomics.load(runs, 0) < 2) await new Promise((resolve) => setTimeout(resolve, 2))
    Atomics.store(shared, 0, 2)
    expect(await result).toBe('done')
    expect(offloader.stats().calls).toMatchObject({ completed: 2, crashed: 0 })
  })
})
