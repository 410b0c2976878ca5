import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { workOf } from '@spillway/kit/testing'
import { describe, expect, it } from 'vitest'
import { BucketNames } from '../src/bucket/bucket-names.js'
import { keptKey } from '../src/bucket/key.js'
import { ClientAddress } from '../src/http/address.js'
import { bareAddress, canonicalGroups } from '../src/http/ip.js'
import { Ipv6KeyWarning } from '../src/http/ipv6-key-warning.js'
import { defineLimit, memoryStore, RateLimiter, redisStore } from '../src/index.js'
import { parseMessage } from '../src/stores/cluster/cluster-message.js'
import { ServedTables } from '../src/stores/cluster/served-tables.js'

const limit = [5, 5, 1e9, 0]

/** Everything that reads what a client, a store or another process wrote: an input of about `n` parts, and the reading. */
const readers: Record<string, (n: number) => () => unknown> = {
  ...Object.fromEntries(
    [' ', ',', ':', '::', '.', '[', ']', '%', '1', '1.1.1.1,', '2001:db8::1, ', '10.0.0.1,'].flatMap(
      (part) => [
        [`X-Forwarded-For of '${part}', by hops`, (n: number) => forwardedOf(part.repeat(n), 64)],
        [
          `X-Forwarded-For of '${part}', by subnets`,
          (n: number) => forwardedOf(part.repeat(n), ['10.0.0.0/8']),
        ],
        [`an address of '${part}'`, (n: number) => () => canonicalGroups(bareAddress(part.repeat(n)))],
        [`a key of '${part}'`, (n: number) => () => new Ipv6KeyWarning(false).see(keptKey(part.repeat(n)))],
      ],
    ),
  ),
  'a request of a worker': (n) => {
    const keys = Array.from({ length: n }, (_, i) => `x ${i}`)
    const numbers = keys.flatMap(() => [0, 1, 1, 1, 1, ...limit])
    const tables = new ServedTables({ maxKeys: 10_000, clock: { now: () => 0 } })
    return () => {
      const message = parseMessage({ spillway: 'limiter', type: 'ask', id: 1, keys, numbers, latest: 1 })
      if (message?.type === 'ask') tables.answer(message.keys, message.numbers)
    }
  },
  'groups in a request of a worker': (n) => {
    const keys = Array.from({ length: n }, (_, i) => `x ${i}`)
    const tables = new ServedTables({ maxKeys: 10_000, clock: { now: () => 0 } })
    return () => tables.answer(keys, [0, 1, 1, n, 1, ...limit])
  },
  'limits in a request of a worker': (n) => {
    const keys = Array.from({ length: n / 8 }, (_, i) => `x${i} a`)
    const tables = new ServedTables({ maxKeys: 10_000, clock: { now: () => 0 } })
    return () => tables.answer(keys, [0, 1, 1, 1, n / 8, ...keys.flatMap(() => limit)])
  },
  'calls of one key in a request of a worker': (n) => {
    const tables = new ServedTables({ maxKeys: 10_000, clock: { now: () => 0 } })
    return () => tables.answer(['x a'], [0, 0, n, 1, 1, ...limit])
  },
  'a reply of Redis': (n) => {
    const reply = Buffer.alloc(8 * (2 + n))
    const store = redisStore({ callBuffer: async () => reply, on() {}, off() {} })
    const limiter = new RateLimiter({ name: 'a', limit: 5, window: '1h', store })
    return () => Promise.all(Array.from({ length: n }, (_, i) => limiter.consume(`${i % 9}`)))
  },
  'limiters without a name': (n) => () => {
    const names = new BucketNames()
    const limit = defineLimit({ limit: 5, window: '1h' })
    return Array.from({ length: n }, () => names.claim(limit, false))
  },
  'new keys in memory': (n) => {
    const limiter = new RateLimiter({ limit: 5, window: '1h', store: memoryStore({ maxKeys: 4 }) })
    return () => {
      for (let i = 0; i < n; i++) limiter.consume(`${i}`)
    }
  },
}

function forwardedOf(field: string, trust: number | string[]) {
  const address = new ClientAddress(trust, 64)
  const req = { socket: { remoteAddress: '10.0.0.1' }, headers: { 'x-forwarded-for': field } }
  return () => address.of(req as unknown as IncomingMessage)
}

describe('the cost of what comes from outside', () => {
  it.each(Object.keys(readers))('S4 %s: twice the input is at most 2.2 times the work', async (name) => {
    const n = 120
    const [single, double] = [readers[name]!(n), readers[name]!(2 * n)]
    const [once, twice] = [await workOf(single), await workOf(double)]
    expect(once).toBeGreaterThan(0)
    // A few steps that an input of any size takes.
    expect(twice).toBeLessThanOrEqual(2.2 * once + 20)
  })

  it('S4 a long X-Forwarded-For is read as far as its hops count', async () => {
    const short = await workOf(forwardedOf('6.6.6.6,'.repeat(10), 1))
    expect(await workOf(forwardedOf('6.6.6.6,'.repeat(2_000), 1))).toBeLessThanOrEqual(short + 5)
  })

  it('S4 no regular expression repeats without a bound', () => {
    const source = new URL('../src/', import.meta.url)
    const found: string[] = []
    for (const file of readdirSync(source, { encoding: 'utf8', recursive: true })) {
      if (!file.endsWith('.ts')) continue
      const text = readFileSync(new URL(file, source), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
      for (const [regex] of text.matchAll(
        /(?<=[(:=,|&?]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]])*\]|[^/\n[\\])+\/[dgimsuy]*/g,
      )) {
        if (/(?<!\\)[+*]|\{\d+,\}/.test(regex.replace(/\[(?:\\.|[^\]])*\]/g, '')))
          found.push(`${file} ${regex}`)
      }
    }
    // The prefix of redisStore() is the developer's own, and one class from start to end is linear.
    expect(found).toEqual(['stores/redis/redis-store.ts /^[^{}]+$/'])
  })
})
