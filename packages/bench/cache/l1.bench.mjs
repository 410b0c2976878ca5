/** Hits of the first tier, one after the other, over 500 keys. Every contender answers with the value it was given. */

const KEYS = Array.from({ length: 500 }, (_, i) => `user:${i}`)
const VALUE = {
  id: 7,
  name: 'Ada Lovelace',
  mail: 'ada@example.org',
  roles: ['admin', 'author'],
  since: 1843,
}
const RAW = 'lru.get, awaited'

/** Awaits `hit(key)` in turn for the time of the round. */
function hits(make) {
  return async () => {
    const { hit, close } = await make()
    for (const key of KEYS) {
      const value = await hit(key)
      if (value?.mail !== VALUE.mail) throw new Error(`a wrong value for ${key}`)
    }
    return {
      close,
      async run(roundMs) {
        const end = performance.now() + roundMs
        let ops = 0
        while (performance.now() < end) {
          for (const key of KEYS) await hit(key)
          ops += KEYS.length
        }
        return { ops }
      },
    }
  }
}

const load = async () => ({ ...VALUE })

export const scenarios = [
  {
    title: 'Cache: hit of getOrSet in the first tier',
    baseline: RAW,
    processes: 3,
    rounds: 3,
    roundMs: 500,
    warmMs: 300,
    contenders: {
      [RAW]: hits(async () => {
        const { LRUCache } = await import('lru-cache')
        const lru = new LRUCache({ max: 1_000 })
        for (const key of KEYS) lru.set(key, { ...VALUE })
        return { hit: (key) => lru.get(key) }
      }),
      '@spillway/cache': hits(async () => {
        const { Cache } = await import('@spillway/cache')
        const cache = new Cache()
        return { hit: (key) => cache.getOrSet(key, load), close: () => cache.close() }
      }),
      'async-cache-dedupe': hits(async () => {
        const { createCache } = await import('async-cache-dedupe')
        const cache = createCache({ ttl: 60, storage: { type: 'memory', options: { size: 1_000 } } })
        cache.define('user', load)
        return { hit: (key) => cache.user(key) }
      }),
      'cache-manager': hits(async () => {
        const { createCache } = await import('cache-manager')
        const cache = createCache({ ttl: 60_000 })
        return { hit: (key) => cache.wrap(key, load) }
      }),
      cacheable: hits(async () => {
        const { Cacheable } = await import('cacheable')
        const cache = new Cacheable({ ttl: '1m' })
        return { hit: (key) => cache.getOrSet(key, load, { ttl: '1m' }) }
      }),
      'bentocache, serialize: false': hits(async () => {
        const { BentoCache, bentostore } = await import('bentocache')
        const { memoryDriver } = await import('bentocache/drivers/memory')
        const store = bentostore().useL1Layer(memoryDriver({ maxItems: 1_000, serialize: false }))
        const cache = new BentoCache({ default: 'a', stores: { a: store } })
        return { hit: (key) => cache.getOrSet({ key, ttl: '1m', factory: load }) }
      }),
    },
  },
]
