import { expect, it } from 'vitest'
import { Cache, memoryStore } from '../src/index.js'

it('loads once for a thousand callers, and hits afterwards', async () => {
  await using cache = new Cache()
  let runs = 0
  const load = async () => {
    runs++
    return { n: 1 }
  }
  const values = await Promise.all(Array.from({ length: 1000 }, () => cache.getOrSet('k', load)))
  expect(runs).toBe(1)
  expect(new Set(values).size).toBe(1)
  expect(await cache.getOrSet('k', load)).toEqual({ n: 1 })
  expect(runs).toBe(1)
  expect(cache.stats()).toMatchObject({ loads: 1, joins: 999, misses: 1, l1: { hits: 1, entries: 1 } })
})

it('two nodes share a store', async () => {
  const store = memoryStore()
  await using a = new Cache({ store })
  await using b = new Cache({ store })
  expect(await a.getOrSet('k', () => 1)).toBe(1)
  expect(await b.getOrSet('k', () => 2)).toBe(1)
  await a.set('k', 3)
  expect(await b.get('k')).toBe(3)
  await b.delete('k')
  expect(await a.get('k')).toBe(undefined)
})
