import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { Failures } from '../src/coherence/failures.js'
import { Fence } from '../src/coherence/fence.js'
import { shortName } from '../src/short-name.js'
import type { Tier } from '../src/store.js'
import { memoryStore } from '../src/stores/memory/memory-store.js'
import { RecoveryQueue } from '../src/tiers/recovery-queue.js'

/** Names come from clients: a table that is bounded in entries alone has no bound in bytes. */

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void

const MEGABYTE = 1024 ** 2
const long = (i: number) => `${'n'.repeat(MEGABYTE)}${i}`

/** Bytes that stay after `work`, whose result is kept. */
function retained(work: () => unknown): number {
  gc()
  const before = process.memoryUsage()
  const kept = work()
  gc()
  const after = process.memoryUsage()
  expect(kept).toBeDefined()
  return after.heapUsed - before.heapUsed + after.external - before.external
}

describe('shortName', () => {
  it('S15 has at most 200 characters, and is different for different texts', () => {
    const texts = ['', 'a', '#a', long(1), long(2), shortName(long(1)), shortName(shortName(long(1)))]
    const names = texts.map(shortName)
    for (const name of names) expect(name.length).toBeLessThanOrEqual(200)
    expect(new Set(names).size).toBe(texts.length)
  })
})

describe('S15 names of a megabyte are not kept', () => {
  it('by the failures', () => {
    const bytes = retained(() => {
      const fence = new Fence()
      const failures = new Failures(fence)
      for (let i = 0; i < 50; i++) {
        failures.record(long(i), new Error('down'), 0, 1, fence.mark(long(i)), [])
        expect(failures.of(long(i))?.pauses.failures).toBe(1)
      }
      return failures
    })
    expect(bytes).toBeLessThan(10 * MEGABYTE)
  })

  it('by the fence', () => {
    const bytes = retained(() => {
      const fence = new Fence()
      for (let i = 0; i < 50; i++) {
        const before = fence.clock
        fence.touchTag(long(i))
        expect(fence.current(before, [long(i)])).toBe(false)
        expect(fence.current(before, [long(i + 1)])).toBe(true)
      }
      return fence
    })
    expect(bytes).toBeLessThan(10 * MEGABYTE)
  })

  it('by the memory store, for its leases and epochs', async () => {
    const tier = memoryStore().open('n') as Tier
    gc()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 50; i++) {
      const lease = await tier.acquire(long(i), 'token', 60_000, '')
      expect(lease).toMatchObject({ token: 'token' })
      expect(await tier.acquire(long(i), 'other', 60_000, '')).toBe('busy')
      const [epoch] = await tier.epochs([long(i)])
      expect((await tier.epochs([long(i)]))[0]!.value).toBe(epoch!.value)
    }
    gc()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10 * MEGABYTE)
    await tier.close()
  })
})

describe('Journal', () => {
  it('S15 owes one invalidation of everything instead of more than 8 million characters', () => {
    const journal = new RecoveryQueue(10_000)
    for (let i = 0; i < 7; i++) journal.key(long(i))
    expect(journal.size).toBe(7)
    journal.tag(long(7))
    expect(journal.take()).toEqual({ keys: [], tags: [], all: true })
    journal.key('k')
    expect(journal.take()).toEqual({ keys: ['k'], tags: [], all: false })
  })
})
