import { Redis } from 'ioredis'
import { startRedis } from './redis-server.mjs'

const RAW = 'raw EVALSHA'

/** A plain token bucket: what one would write by hand. */
const SCRIPT = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local capacity, rate, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local state = redis.call('HMGET', KEYS[1], 'used', 'at')
local used, at = tonumber(state[1]) or 0, tonumber(state[2]) or now
used = math.max(0, used - math.max(0, now - at) * rate)
if used + cost > capacity then return { 0, math.ceil((used + cost - capacity) / rate) } end
redis.call('HSET', KEYS[1], 'used', string.format('%.17g', used + cost), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((used + cost) / rate / 1000))
return { 1, math.floor(capacity - used - cost) }
`

const limit = { capacity: 1e9, refill: { tokens: 1_000_000, per: '1h' } }

const contenders = {
  async [RAW](client) {
    const sha = await client.script('LOAD', SCRIPT)
    const rate = 1_000_000 / 3_600_000_000
    return { consume: (key) => client.evalsha(sha, 1, `raw:${key}`, 1e9, rate, 1) }
  },
  async '@spillway/limiter'(client) {
    const { RateLimiter, redisStore } = await import('@spillway/limiter')
    const limiter = new RateLimiter({ ...limit, store: redisStore(client, { deadline: '10s' }) })
    return { consume: (key) => limiter.consume(key) }
  },
  async '@spillway/limiter with leases'(client) {
    const { RateLimiter, redisStore } = await import('@spillway/limiter')
    const store = redisStore(client, { deadline: '10s' })
    const limiter = new RateLimiter({ ...limit, store, lease: { max: 64 } })
    return { consume: (key) => limiter.consume(key), close: () => limiter.close() }
  },
  async 'rate-limiter-flexible'(client) {
    const { RateLimiterRedis } = await import('rate-limiter-flexible')
    const limiter = new RateLimiterRedis({ storeClient: client, points: 1e9, duration: 3_600 })
    return { consume: (key) => limiter.consume(key) }
  },
}

/** `inFlight` calls at any time, over `count` keys in a scattered order, on a Redis of the contender's own. */
function load(inFlight, count, make) {
  return async () => {
    const server = await startRedis()
    const client = new Redis(server.port, '127.0.0.1')
    const { consume, close } = await make(client)
    const keys = Array.from({ length: count }, (_, i) => `client-${i}`)
    let at = 0
    // A round of one call after the other has too few calls to have everything compiled.
    for (let i = 0; i < 300; i++) {
      await Promise.all(Array.from({ length: 64 }, (_, n) => consume(keys[(i * 64 + n) % count])))
    }
    for (let i = 0; i < 5_000; i++) await consume(keys[i % count])
    return {
      async run(roundMs) {
        const end = performance.now() + roundMs
        const times = []
        let ops = 0
        const one = async () => {
          while (performance.now() < end) {
            at = (at + 4_827) % count
            const start = performance.now()
            await consume(keys[at])
            if (ops++ % 16 === 0) times.push(performance.now() - start)
          }
        }
        await Promise.all(Array.from({ length: inFlight }, one))
        times.sort((a, b) => a - b)
        return {
          ops,
          'p50 us': times[times.length >> 1] * 1_000,
          'p99 us': times[Math.floor(times.length * 0.99)] * 1_000,
        }
      },
      async close() {
        await close?.()
        client.disconnect()
        await server.stop()
      },
    }
  }
}

const scenario = (title, inFlight, count) => ({
  title,
  note: 'CPU is that of the client process.',
  baseline: RAW,
  rounds: 5,
  roundMs: 700,
  warmMs: 300,
  contenders: Object.fromEntries(
    Object.entries(contenders).map(([name, make]) => [name, load(inFlight, count, make)]),
  ),
})

export const scenarios = [
  scenario('Limiter on Redis, one call after the other', 1, 10_000),
  scenario('Limiter on Redis, 64 in flight, 10,000 keys', 64, 10_000),
  scenario('Limiter on Redis, 256 in flight, 10,000 keys', 256, 10_000),
  scenario('Limiter on Redis, 256 in flight, one hot key', 256, 1),
]
