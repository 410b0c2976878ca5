import { heapUsed } from './heap.mjs'

const RAW = 'Map get + set, one clock read'
const HOUR = 3_600_000

/** What each contender does for one key; `undefined` or a promise comes back. */
const contenders = {
  async [RAW]() {
    const map = new Map()
    return (key) => {
      const now = performance.now()
      const seen = map.get(key)
      map.set(key, seen === undefined || seen < now ? now : seen)
    }
  },
  async '@spillway/limiter'() {
    const { RateLimiter } = await import('@spillway/limiter')
    const limiter = new RateLimiter({ capacity: 1e9, refill: { tokens: 100, per: '1h' } })
    return (key) => limiter.consume(key)
  },
  async limiter() {
    const { TokenBucket } = await import('limiter')
    const buckets = new Map()
    return (key) => {
      let bucket = buckets.get(key)
      if (bucket === undefined) {
        bucket = new TokenBucket({ bucketSize: 1e9, tokensPerInterval: 1e9, interval: 'hour' })
        bucket.content = 1e9
        buckets.set(key, bucket)
      }
      return bucket.tryRemoveTokens(1)
    }
  },
  async 'express-rate-limit'() {
    const { MemoryStore } = await import('express-rate-limit')
    const store = new MemoryStore()
    store.init({ windowMs: HOUR })
    return (key) => store.increment(key)
  },
  async 'rate-limiter-flexible'() {
    const { RateLimiterMemory } = await import('rate-limiter-flexible')
    const limiter = new RateLimiterMemory({ points: 1e9, duration: 3_600 })
    return (key) => limiter.consume(key)
  },
}

const keysOf = (count) =>
  Array.from({ length: count }, (_, i) => `client-${i}-${(i * 2_654_435_761) % 4_294_967_296}`)

/** Calls one after the other for the whole round, over the keys in a scattered order; awaits what must be awaited. */
function throughput(count, make) {
  return async () => {
    const consume = await make()
    const keys = keysOf(count)
    let at = 0
    const some = async (calls) => {
      let last
      for (let i = 0; i < calls; i++) {
        at = (at + 48_271) % count
        last = consume(keys[at])
        if (last instanceof Promise) await last
      }
      return last
    }
    await some(count)
    return {
      async run(roundMs) {
        const end = performance.now() + roundMs
        let ops = 0
        while (performance.now() < end) {
          await some(20_000)
          ops += 20_000
        }
        return { ops }
      },
    }
  }
}

/** New keys each round; the bytes that stay are the figure. The key strings themselves are there before. */
function footprint(count, make) {
  return async () => {
    let round = 0
    return {
      async run() {
        const consume = await make()
        const keys = keysOf(count).map((key) => `${key}-${round}`)
        round++
        for (const key of keys) key.charCodeAt(0) // flattens the strings
        const before = heapUsed()
        for (const key of keys) await consume(key)
        const bytes = heapUsed() - before
        await consume(keys[0])
        return { ops: count, 'bytes per key': bytes / count }
      },
    }
  }
}

const scenario = (title, wrap, note) => ({
  title,
  note,
  baseline: RAW,
  processes: 3,
  rounds: 3,
  roundMs: 700,
  warmMs: 300,
  contenders: Object.fromEntries(Object.entries(contenders).map(([name, make]) => [name, wrap(make)])),
})

export const scenarios = [
  scenario('Limiter in memory, one hot key', (make) => throughput(1, make)),
  scenario('Limiter in memory, 100,000 keys', (make) => throughput(100_000, make)),
  scenario(
    'Limiter in memory, 100,000 new keys',
    (make) => footprint(100_000, make),
    'Bytes retained per key, beside the key itself.',
  ),
]
