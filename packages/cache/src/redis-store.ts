import { boolean, defineOptions, having } from '@spillway/kit'
import { RedisBus } from './redis-bus.js'
import { keyPrefixOf, type RedisClient, type RedisCommand } from './redis-client.js'
import {
  ACQUIRE,
  BUMP,
  COMMIT,
  EPOCH,
  RELEASE,
  REMOVE,
  RENEW,
  type RedisScript,
  WRITE,
} from './redis-scripts.js'
import type { Acquired, BusListener, CacheStore, Epoch, Lease, Reading, ReadingMany, Tier } from './store.js'
import { storeKey } from './store-key.js'

export interface RedisStoreOptions {
  /**
   * Tell other nodes of changes over pub/sub, on a connection of its own, so that the first tiers agree at once. False:
   * they agree within `l1.ttl`. Default: true.
   */
  readonly bus?: boolean
}

const resolve = defineOptions('cache', 'redisStore', { bus: boolean }, { bus: true })
const resolveClient = defineOptions('cache', 'redisStore', {
  client: having<RedisClient>('an ioredis client', 'createBuiltinCommand', 'connect', 'on', 'off'),
})

/**
 * A second tier in Redis 6.2 or later, over an ioredis client of yours (5 or 6; standalone, Sentinel or Cluster). Nothing
 * is sent before the client is ready. The client is not closed with the cache.
 *
 * ```ts
 * const cache = new Cache({ store: redisStore(new Redis(url)) })
 * ```
 *
 * @throws TypeError `ERR_CACHE_OPTION`
 */
export function redisStore(client: RedisClient, options?: RedisStoreOptions): CacheStore {
  resolveClient({ client })
  const { bus } = resolve(options)
  return { kind: 'redis', open: (namespace) => new RedisTier(client, namespace, bus) }
}

/** Milliseconds that an epoch lives after its last use. Without it all its entries are misses. */
const EPOCH_LIFE = 90 * 86_400_000
const MAX_KEY = 512
/** Keys deleted by one command at most. */
const BATCH = 500

class RedisTier implements Tier {
  readonly listen: ((listener: BusListener) => void) | undefined
  readonly #client: RedisClient
  readonly #namespace: string
  readonly #channel: string
  readonly #mget: RedisCommand
  readonly #get: RedisCommand
  readonly #del: RedisCommand
  readonly #publish: RedisCommand
  readonly #ping: RedisCommand
  readonly #evalsha: RedisCommand
  readonly #eval: RedisCommand
  #bus: RedisBus | undefined

  constructor(client: RedisClient, namespace: string, withBus: boolean) {
    this.#client = client
    this.#namespace = namespace
    this.#channel = `${keyPrefixOf(client)}${namespace}:bus`
    // These go out by themselves even with `enableAutoPipelining`, which would wait for more and mix up cluster slots.
    const command = (name: string) => client.createBuiltinCommand(name)
    this.#mget = command('mget').buffer.bind(client)
    this.#get = command('get').buffer.bind(client)
    this.#del = command('del').string.bind(client)
    this.#publish = command('publish').string.bind(client)
    this.#ping = command('ping').string.bind(client)
    this.#evalsha = command('evalsha').string.bind(client)
    this.#eval = command('eval').string.bind(client)
    if (withBus) {
      this.listen = (listener) => {
        this.#bus = new RedisBus(client, this.#channel, listener)
      }
    }
  }

  get ready(): boolean {
    return this.#client.status === 'ready'
  }

  opened(): Promise<void> {
    if (this.ready) return Promise.resolve()
    // A lazy client waits for its first command; its own error handling hears of a failure.
    if (this.#client.status === 'wait') this.#client.connect().catch(() => {})
    return new Promise((resolve) => {
      const onReady = () => {
        this.#client.off('ready', onReady)
        resolve()
      }
      this.#client.on('ready', onReady)
    })
  }

  async read(key: string, epochs: readonly string[]): Promise<Reading> {
    const [frame, ...found] = await this.#values([
      this.#entry(key),
      ...epochs.map((name) => this.#epoch(name)),
    ])
    return { frame, epochs: found.map((value) => value?.toString()) }
  }

  async readMany(keys: readonly string[], epochs: readonly string[]): Promise<ReadingMany> {
    const names = [...keys.map((key) => this.#entry(key)), ...epochs.map((name) => this.#epoch(name))]
    const values = await this.#values(names)
    return {
      frames: values.slice(0, keys.length),
      epochs: values.slice(keys.length).map((value) => value?.toString()),
    }
  }

  async epochs(names: readonly string[]): Promise<readonly Epoch[]> {
    return Promise.all(
      names.map(async (name) => {
        const [value, age] = (await this.#run(EPOCH, [this.#epoch(name)], EPOCH_LIFE)) as [string, string]
        return { value, age: age === '-1' ? Number.POSITIVE_INFINITY : Number(age) }
      }),
    )
  }

  async acquire(key: string, token: string, milliseconds: number, seen: string): Promise<Acquired> {
    const id = Buffer.from(seen, 'latin1')
    const result = await this.#run(ACQUIRE, [this.#entry(key), this.#lease(key)], token, milliseconds, id)
    return result === 1 ? { key, token } : result === 0 ? 'busy' : 'changed'
  }

  async renew({ key, token }: Lease, milliseconds: number): Promise<boolean> {
    return (await this.#run(RENEW, [this.#lease(key)], token, milliseconds)) === 1
  }

  async release({ key, token }: Lease): Promise<void> {
    await this.#run(RELEASE, [this.#lease(key)], token)
  }

  async commit(
    { key, token }: Lease,
    frame: Buffer,
    milliseconds: number,
    message: string,
  ): Promise<boolean> {
    const keys = [this.#entry(key), this.#lease(key)]
    return (await this.#run(COMMIT, keys, token, frame, milliseconds, this.#channel, message)) === 1
  }

  async write(key: string, frame: Buffer, milliseconds: number, message: string): Promise<void> {
    const keys = [this.#entry(key), this.#lease(key)]
    await this.#run(WRITE, keys, frame, milliseconds, this.#channel, message)
  }

  async remove(keys: readonly string[], message: string): Promise<void> {
    if (keys.length === 1) {
      const [key] = keys as [string]
      await this.#run(REMOVE, [this.#entry(key), this.#lease(key)], this.#channel, message)
      return
    }
    const pairs = keys.map((key) => [this.#entry(key), this.#lease(key)])
    const size = this.#client.isCluster ? 1 : BATCH
    const deletions: Promise<unknown>[] = []
    for (let i = 0; i < pairs.length; i += size) deletions.push(this.#del(...pairs.slice(i, i + size).flat()))
    await Promise.all(deletions)
    // Not before: who hears it reads again.
    await this.#publish(this.#channel, message)
  }

  async bump(name: string, message: string): Promise<void> {
    await this.#run(BUMP, [this.#epoch(name)], EPOCH_LIFE, this.#channel, message)
  }

  async ping(): Promise<void> {
    await this.#ping()
  }

  async close(): Promise<void> {
    this.#bus?.close()
  }

  /** In a cluster the keys belong to different nodes; the client sends each to its own. */
  async #values(names: readonly string[]): Promise<(Buffer | undefined)[]> {
    const values = this.#client.isCluster
      ? await Promise.all(names.map((name) => this.#get(name)))
      : await this.#mget(...names)
    return (values as (Buffer | null)[]).map((value) => value ?? undefined)
  }

  async #run({ sha, text }: RedisScript, keys: readonly string[], ...args: (string | number | Buffer)[]) {
    try {
      return await this.#evalsha(sha, keys.length, ...keys, ...args)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return this.#eval(text, keys.length, ...keys, ...args)
    }
  }

  /** The braces make an entry and its lease share a slot in a cluster; the `=` keeps them from being empty. */
  #entry(key: string): string {
    return `${this.#namespace}:{=${storeKey(key, MAX_KEY)}}`
  }

  #lease(key: string): string {
    return `${this.#entry(key)}:lease`
  }

  #epoch(name: string): string {
    return `${this.#namespace}:epoch:${storeKey(name, MAX_KEY)}`
  }
}
