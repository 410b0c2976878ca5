// Jest has a loader of its own: for CommonJS it takes no ESM at all.

const { misnamed } = require('./misnamed.cjs')

describe('U2 required under Jest', () => {
  it.each(require('./entries.json'))('%s', (entry) => {
    const loaded = require(entry)
    expect(Object.keys(loaded).length).toBeGreaterThan(0)
    expect(misnamed(loaded)).toEqual([])
  })

  it('@spillway/cache keeps rich values', async () => {
    const { Cache, memoryStore } = require('@spillway/cache')
    const cache = new Cache({ store: memoryStore(), l1: false })
    await cache.set('k', { when: new Date(0), bytes: Buffer.from('a'), list: new Set([1]) })
    expect(await cache.get('k')).toEqual({ when: new Date(0), bytes: Buffer.from('a'), list: new Set([1]) })
    await cache.close()
  })
})
