import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { eventually } from '@spillway/testkit'
import { describe, expect, it } from 'vitest'
import { Cache, type CacheOptions, memoryStore } from '../../src/index.js'

const MEGABYTES = 4 * 1024 ** 2

/** Every kind of view, ten bytes or so of a buffer of 4 MB, and values that hold one somewhere inside. */
const VIEWS: [string, (buffer: ArrayBuffer) => unknown][] = [
  ['a Uint8Array', (buffer) => new Uint8Array(buffer, 64, 10)],
  ['a Uint8ClampedArray', (buffer) => new Uint8ClampedArray(buffer, 64, 10)],
  ['a Float64Array', (buffer) => new Float64Array(buffer, 64, 2)],
  ['a BigInt64Array', (buffer) => new BigInt64Array(buffer, 64, 2)],
  ['a DataView', (buffer) => new DataView(buffer, 64, 10)],
  ['a Buffer', (buffer) => Buffer.from(buffer, 64, 10)],
  ['an empty view', (buffer) => new Uint8Array(buffer, 64, 0)],
  ['a view in an object', (buffer) => ({ deep: [{ view: new Uint8Array(buffer, 64, 10) }] })],
  ['a Buffer in an object', (buffer) => ({ deep: Buffer.from(buffer, 64, 10) })],
  ['a view in a Map', (buffer) => new Map([['view', new Int16Array(buffer, 64, 5)]])],
  ['a view in a Set', (buffer) => new Set([new Int16Array(buffer, 64, 5)])],
  ['two views on one buffer', (buffer) => [new Uint8Array(buffer, 0, 5), new Uint8Array(buffer, 64, 5)]],
]

const TIERS: [string, () => CacheOptions][] = [
  ['in the first tier', () => ({})],
  ['in a store', () => ({ store: memoryStore(), l1: false })],
  ['in both', () => ({ store: memoryStore() })],
  ['as clones', () => ({ share: 'clone' })],
]

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

function filled(): ArrayBuffer {
  const buffer = new ArrayBuffer(MEGABYTES)
  new Uint8Array(buffer).fill(7)
  return buffer
}

/** Bytes of the buffers behind all views in a value. */
function behind(value: unknown, seen = new Set<unknown>()): number {
  if (typeof value !== 'object' || value === null || seen.has(value)) return 0
  seen.add(value)
  if (ArrayBuffer.isView(value)) {
    if (seen.has(value.buffer)) return 0
    seen.add(value.buffer)
    return value.buffer.byteLength
  }
  const members = value instanceof Map || value instanceof Set ? [...value] : Object.values(value)
  return members.reduce((sum: number, member) => sum + behind(member, seen), 0)
}

describe.each(TIERS)('C20 values %s', (_tier, options) => {
  it.each(VIEWS)('are kept with their own bytes only: %s', async (_kind, make) => {
    await using cache = new Cache(options())
    const value = make(filled())
    await cache.set('set', value)
    await cache.getOrSet('loaded', () => value)
    for (const key of ['set', 'loaded']) {
      const found = await cache.get(key)
      expect(found).toEqual(value)
      expect(Object.prototype.toString.call(found)).toBe(Object.prototype.toString.call(value))
      expect(behind(found)).toBeLessThan(16_384) // a small Buffer may come from Node's pool
      expect(await cache.get(key)).toEqual(value)
    }
  })

  it('do not share the memory of a SharedArrayBuffer with the writer', async () => {
    await using cache = new Cache(options())
    const view = new Uint8Array(new SharedArrayBuffer(8))
    await cache.set('k', { view })
    view.fill(9)
    expect((await cache.get<{ view: Uint8Array }>('k'))!.view).toEqual(new Uint8Array(8))
  })
})

it('C20 fifty views of ten bytes on buffers of 4 MB let the buffers go', async () => {
  await using cache = new Cache({ l1: { maxBytes: '16mb' } })
  const buffers: WeakRef<ArrayBuffer>[] = []
  for (let i = 0; i < 50; i++) {
    const buffer = filled()
    buffers.push(new WeakRef(buffer))
    await cache.set(`k${i}`, new Uint8Array(buffer, 64, 10))
  }
  await eventually(() => {
    collect()
    expect(buffers.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(5)
  })
  expect(cache.stats().l1.entries).toBe(50)
  expect(cache.stats().l1.bytes).toBeLessThan(20_000)
})

it("C20 by share: 'reference' the value itself is kept, and counted with all that it retains", async () => {
  await using cache = new Cache({ share: 'reference', l1: { maxBytes: '16mb', maxEntryBytes: '16mb' } })
  const value = { views: [new Uint8Array(filled(), 0, 10)] }
  ;(value.views as unknown[]).push(new DataView(value.views[0]!.buffer, 64, 10))
  await cache.set('k', value)
  expect(await cache.get('k')).toBe(value)
  expect(cache.stats().l1.bytes).toBeGreaterThan(MEGABYTES)
  expect(cache.stats().l1.bytes).toBeLessThan(MEGABYTES + 2_000)
  for (let i = 0; i < 10; i++) await cache.set(`k${i}`, new Uint8Array(filled(), 0, 10))
  expect(cache.stats().l1.entries).toBeLessThan(5)
})
