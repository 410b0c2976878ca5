import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'

const [, , name, url] = process.argv

const ask = {
  async '@spillway/cache'() {
    const { Cache, redisStore } = await import('@spillway/cache')
    const cache = new Cache({ store: redisStore(new Redis(url)) })
    return (key, load) => cache.getOrSet(key, load)
  },
  async 'async-cache-dedupe'() {
    const { createCache } = await import('async-cache-dedupe')
    const cache = createCache({ ttl: 60, storage: { type: 'redis', options: { client: new Redis(url) } } })
    let loader
    cache.define('user', () => loader())
    return (key, load) => {
      loader = load
      return cache.user(key)
    }
  },
  async 'cache-manager'() {
    const { createCache } = await import('cache-manager')
    const { createKeyv } = await import('@keyv/redis')
    const cache = createCache({ stores: [createKeyv(url)], ttl: 60_000 })
    return (key, load) => cache.wrap(key, load)
  },
  async cacheable() {
    const { Cacheable } = await import('cacheable')
    const { createKeyv } = await import('@keyv/redis')
    const cache = new Cacheable({ secondary: createKeyv(url), ttl: '1m' })
    return (key, load) => cache.getOrSet(key, load, { ttl: '1m' })
  },
  async bentocache() {
    const { BentoCache, bentostore } = await import('bentocache')
    const { memoryDriver } = await import('bentocache/drivers/memory')
    const { redisDriver } = await import('bentocache/drivers/redis')
    const store = bentostore()
      .useL1Layer(memoryDriver({ maxItems: 1_000 }))
      .useL2Layer(redisDriver({ connection: new Redis(url) }))
    const cache = new BentoCache({ default: 'a', stores: { a: store } })
    return (key, load) => cache.getOrSet({ key, ttl: '1m', factory: load })
  },
}

try {
  const get = await ask[name]()
  await get('warm', async () => 1)
  process.on('message', async ({ key, callers }) => {
    let loads = 0
    const load = async () => {
      loads++
      await sleep(200)
      return { key }
    }
    try {
      await Promise.all(Array.from({ length: callers }, () => get(key, load)))
      process.send({ bench: 'done', loads })
    } catch (error) {
      process.send({ bench: 'done', error: String(error) })
    }
  })
  process.send({ bench: 'ready' })
} catch (error) {
  process.send({ bench: 'ready', error: error.stack })
}
