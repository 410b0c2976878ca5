import { startMemcached, startRedis } from '@spillway/testkit'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import {
  Cache,
  type CacheOptions,
  type CacheStore,
  memcachedStore,
  memoryStore,
  redisStore,
} from '../../src/index.js'
import { single, tapped } from './waiting.js'

/**
 * Random interleavings over two nodes, against a model that is one number per key: the database. A write changes the
 * number and then invalidates, in any of the ways there are. Once the invalidation has been acknowledged, no read that
 * begins may give an older number: on its own node at once, on the other as soon as the bus has brought it.
 */

const KEYS = ['a', 'b', 'c'] as const
type Key = (typeof KEYS)[number]
/** The tags of each key; those of `c` are known to its loader only. */
const TAGS: Readonly<Record<Key, readonly string[]>> = { a: ['odd'], b: ['odd', 'even'], c: ['even'] }

const node = fc.constantFrom(0 as const, 1 as const)
const turns = fc.nat({ max: 6 })
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      node,
      key: fc.constantFrom(...KEYS),
      pause: turns,
      /** How long the loader takes, before it looks at the database and after. */
      before: turns,
      after: turns,
      fails: fc.boolean(),
      ttl: fc.constantFrom(3, 15, 60_000),
      swr: fc.constantFrom<false | number>(false, 60_000),
      staleIfError: fc.constantFrom<false | number>(false, 60_000),
      refresh: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('delete' as const, 'set' as const),
      node,
      key: fc.constantFrom(...KEYS),
      pause: turns,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('tag' as const),
      node,
      tag: fc.constantFrom('odd', 'even'),
      pause: turns,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), node, pause: turns }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type Read = Extract<Step, { kind: 'read' }>

/** Two caches on one store, and how to wait until the other one has heard of what was just acknowledged. */
interface Nodes {
  readonly caches: readonly [Cache, Cache]
  heard(node: 0 | 1): Promise<void>
}

class Model {
  readonly #nodes: Nodes
  readonly #database = new Map<Key, number>(KEYS.map((key) => [key, 0]))
  /** By node: no read may give less. */
  readonly #floors = [new Map<Key, number>(), new Map<Key, number>()] as const
  /** Writes may overlap; a `set` stands alone, since two that overlap may end in either order. */
  #alone: Promise<unknown> = Promise.resolve()
  #together: Promise<unknown>[] = []
  #clock = 0

  constructor(nodes: Nodes) {
    this.#nodes = nodes
  }

  async run(steps: readonly Step[]): Promise<void> {
    const all: Promise<unknown>[] = []
    for (const step of steps) {
      await pause(step.pause)
      all.push(this.#begin(step))
    }
    await Promise.all(all)
  }

  /** Whatever happened: in the end every node gives the last value, or loads it. */
  async check(): Promise<void> {
    for (const node of [0, 1] as const) {
      for (const key of KEYS) await this.#read(node, key, () => this.#database.get(key)!, {})
    }
  }

  #begin(step: Step): Promise<unknown> {
    if (step.kind === 'read') return this.#load(step)
    const keys =
      step.kind === 'clear'
        ? KEYS
        : step.kind === 'tag'
          ? KEYS.filter((key) => TAGS[key].includes(step.tag))
          : [step.key]
    const write = () => this.#write(step, keys)
    const done = step.kind === 'set' ? Promise.all(this.#together).then(write) : this.#alone.then(write)
    if (step.kind === 'set') {
      this.#together = [done]
      this.#alone = done
    } else this.#together.push(done)
    return done
  }

  async #write(step: Exclude<Step, Read>, keys: readonly Key[]): Promise<void> {
    const versions = keys.map((key) => {
      const version = ++this.#clock
      this.#database.set(key, version)
      return [key, version] as const
    })
    const cache = this.#nodes.caches[step.node]
    if (step.kind === 'clear') await cache.clear()
    else if (step.kind === 'tag') await cache.deleteByTag(step.tag)
    else if (step.kind === 'delete') await cache.delete(step.key)
    else await cache.set(step.key, versions[0]![1], { tags: TAGS[step.key] })
    this.#raise(step.node, versions)
    const other = step.node === 0 ? 1 : 0
    await this.#nodes.heard(other)
    this.#raise(other, versions)
  }

  #raise(node: 0 | 1, versions: readonly (readonly [Key, number])[]): void {
    const floor = this.#floors[node]
    for (const [key, version] of versions) floor.set(key, Math.max(version, floor.get(key) ?? 0))
  }

  #load({ node, key, before, after, fails, ...options }: Read): Promise<void> {
    const load = async () => {
      await pause(before)
      const value = this.#database.get(key)!
      await pause(after)
      if (fails) throw new Error('the database is down')
      return value
    }
    return this.#read(node, key, load, options)
  }

  async #read(node: 0 | 1, key: Key, load: () => number | Promise<number>, options: object): Promise<void> {
    const least = this.#floors[node].get(key) ?? 0
    const cache = this.#nodes.caches[node]
    const value = await cache
      .getOrSet(
        key,
        (context) => {
          if (key === 'c') context.setTags(TAGS.c)
          return load()
        },
        { ...options, tags: key === 'c' ? [] : TAGS[key] },
      )
      .catch(() => Number.POSITIVE_INFINITY)
    expect(value, `${key} on node ${node}`).toBeGreaterThanOrEqual(least)
  }
}

async function pause(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
}

const RUNS = 60

/** @param make two caches of this name */
async function holds(make: (name: string) => Nodes | Promise<Nodes>): Promise<void> {
  let names = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const nodes = await make(`model${names++}`)
      try {
        const model = new Model(nodes)
        await model.run(steps)
        await model.check()
      } finally {
        await Promise.all(nodes.caches.map((cache) => cache.close()))
      }
    }),
    { numRuns: RUNS },
  )
}

const QUIET = { jitter: 0, storeTimeout: '10s', loadTimeout: '20s' } as const

function pair(options: CacheOptions, stores: readonly [CacheStore, CacheStore]): [Cache, Cache] {
  return [
    new Cache({ ...QUIET, ...options, store: stores[0] }),
    new Cache({ ...QUIET, ...options, store: stores[1] }),
  ]
}

const AT_ONCE = async () => {}

describe('no read gives what is older than the last acknowledged invalidation', () => {
  it('in one process, with two caches on one store that is slow now and then', () =>
    holds((name) => {
      const delay = () => pause(Math.floor(Math.random() * 4))
      const store = tapped(memoryStore(), delay)
      return { caches: pair({ name }, [store, store]), heard: AT_ONCE }
    }))

  it('over Redis, without first tiers', async () => {
    await using redis = await startRedis()
    const clients = [new Redis(redis.url()), new Redis(redis.url())] as const
    try {
      const stores = [redisStore(clients[0], { bus: false }), redisStore(clients[1], { bus: false })] as const
      await holds((name) => ({ caches: pair({ name, l1: false }, stores), heard: AT_ONCE }))
    } finally {
      for (const client of clients) client.disconnect()
    }
  })

  it('over Redis, with first tiers that the bus keeps right', async () => {
    await using redis = await startRedis()
    const clients = [new Redis(redis.url()), new Redis(redis.url()), new Redis(redis.url())] as const
    try {
      await holds(async (name) => {
        const ears = [new Ear(redisStore(clients[0])), new Ear(redisStore(clients[1]))] as const
        const caches = pair({ name }, [ears[0].store, ears[1].store])
        await Promise.all(ears.map((ear) => ear.listening))
        let messages = 0
        return {
          caches,
          async heard(node) {
            // Messages of one channel arrive in order: behind this one, all those before it have been heard.
            const marker = `marker ${messages++}`
            const heard = ears[node].hears(marker)
            await clients[2].publish(`${name}:bus`, marker)
            await heard
          },
        }
      })
    } finally {
      for (const client of clients) client.disconnect()
    }
  })

  it('over Memcached, without first tiers', async () => {
    const servers = await Promise.all([startMemcached(), startMemcached()])
    try {
      const store = memcachedStore(servers.map((server) => server.url()))
      await holds((name) => ({ caches: pair({ name, l1: false }, [store, store]), heard: AT_ONCE }))
    } finally {
      for (const server of servers) await server[Symbol.asyncDispose]()
    }
  })
})

/** A store whose messages a test hears, too. */
class Ear {
  readonly store: CacheStore
  readonly listening: Promise<void>
  readonly #waiting = new Map<string, () => void>()

  constructor(store: CacheStore) {
    let healed = () => {}
    this.listening = new Promise((resolve) => {
      healed = resolve
    })
    this.store = {
      kind: store.kind,
      open: (namespace) => {
        const tier = single(store.open(namespace))
        const listen = tier.listen!
        return Object.assign(tier, {
          listen: (listener: Parameters<typeof listen>[0]) =>
            listen({
              message: (text) => {
                listener.message(text)
                this.#waiting.get(text)?.()
              },
              gap: () => listener.gap(),
              healed: () => {
                listener.healed()
                healed()
              },
            }),
        })
      },
    }
  }

  hears(text: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(text, resolve))
  }
}
