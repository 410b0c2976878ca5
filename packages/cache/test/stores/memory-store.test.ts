import { expect, it } from 'vitest'
import { memoryStore, type Tier } from '../../src/index.js'
import { single } from '../load/waiting.js'

const opened = (): Tier => single(memoryStore().open('bounds'))

it('S15 the memory store forgets the leases of those who never return, the oldest first', async () => {
  const tier = opened()
  const first = await tier.acquire('first', 't', 3_600_000, '')
  for (let i = 0; i < 100_000; i++) await tier.acquire(`k${i}`, 't', 3_600_000, '')
  expect(first).toEqual({ key: 'first', token: 't' })
  expect(await tier.commit(first as { key: string; token: string }, Buffer.alloc(60), 1_000, '')).toBe(false)
  expect(await tier.acquire('k99999', 'other', 1_000, '')).toBe('busy')
})

it('S15 an epoch that the memory store has forgotten is no older than when it was made', async () => {
  const tier = opened()
  const [unknown] = await tier.epochs(['unknown'])
  expect(unknown!.age).toBe(Number.POSITIVE_INFINITY)
  const before = performance.now()
  await tier.bump('tag', '')
  for (let i = 0; i < 100_000; i++) await tier.epochs([`t${i}`])
  const [found] = await tier.epochs(['tag'])
  expect(found!.age).toBeLessThanOrEqual(performance.now() - before)
})
