import {
  boolean,
  defineOptions,
  having,
  ioredisCommands,
  type RedisArgument,
  type RedisCommand,
  type RedisScript,
  RedisScripts,
} from '@spillway/kit'
import { storeKey } from '../../key.js'
import type {
  Acquired,
  BusListener,
  CacheStore,
  Epoch,
  Lease,
  Reading,
  ReadingMany,
  Tier,
} from '../../store.js'
import { RedisBus } from './redis-bus.js'
import type { RedisClient } from './redis-client.js'
import { bulksIn, frameOf, RedisReads, textOf, textsIn } from './redis-reads.js'
import { ACQUIRE, BUMP, COMMIT, EPOCH, RELEASE, REMOVE, RENEW, TOKEN_LENGTH, WRITE } from './redis-scripts.js'
import { type RedisServer, serverOf } from './redis-server.js'

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
  readonly #reads: RedisReads
  readonly #get: RedisCommand
  readonly #del: RedisCommand
  readonly #publish: RedisCommand
  readonly #ping: RedisCommand
  readonly #server: RedisServer
  readonly #scripts: RedisScripts
  #bus: RedisBus | undefined
  #last: { readonly name: string; readonly keys: readonly string[] } = { name: '', keys: [] }

  constructor(client: RedisClient, namespace: string, withBus: boolean) {
    this.#client = client
    this.#namespace = namespace
    const commands = ioredisCommands(client)
    this.#channel = `${commands.keyPrefix}${namespace}:bus`
    this.#server = serverOf(client)
    this.#mget = commands.bytes('mget')
    this.#reads = new RedisReads(this.#mget)
    this.#get = commands.bytes('get')
    this.#del = commands.text('del')
    this.#publish = commands.text('publish')
    this.#ping = commands.text('ping')
    this.#scripts = new RedisScripts(commands, 'text')
    if (withBus) this.listen = (listener) => this.#listen(listener)
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

  read(key: string, epochs: readonly string[]): Promise<Reading> {
    const names = epochs.length === 1 ? this.#only(epochs[0]!) : epochs.map((name) => this.#epoch(name))
    if (!this.#client.isCluster) return this.#reads.read(this.#entry(key), names)
    return this.#values([this.#entry(key), ...names]).then(([frame = null, ...values]) => ({
      frame: frameOf(frame),
      epochs: values.map(textOf),
    }))
  }

  async readMany(keys: readonly string[], epochs: readonly string[]): Promise<ReadingMany> {
    const names = epochs.map((name) => this.#epoch(name))
    const values = await this.#values([...keys.map((key) => this.#entry(key)), ...names])
    const found = values.slice(keys.length).map(textOf)
    return { frames: values.slice(0, keys.length).map(frameOf), epochs: found }
  }

  async epochs(names: readonly string[]): Promise<readonly Epoch[]> {
    return Promise.all(
      names.map(async (name) => {
        const [value, age] = textsIn(await this.#run(EPOCH, this.#epoch(name), EPOCH_LIFE))
        // What is no age is taken for that of an epoch that was made just now, with which nothing can be stored.
        return { value, age: age === '-1' ? Number.POSITIVE_INFINITY : Number(age) / 1000 || 0 }
      }),
    )
  }

  async acquire(key: string, token: string, milliseconds: number, seen: string): Promise<Acquired> {
    const id = Buffer.from(seen, 'latin1')
    const result = await this.#run(ACQUIRE, this.#entry(key), fixed(token), milliseconds, id)
    return result === 1 ? { key, token } : result === 0 ? 'busy' : 'changed'
  }

  async renew({ key, token }: Lease, milliseconds: number): Promise<boolean> {
    return (await this.#run(RENEW, this.#entry(key), fixed(token), milliseconds)) === 1
  }

  async release({ key, token }: Lease): Promise<void> {
    await this.#run(RELEASE, this.#entry(key), fixed(token))
  }

  async commit(
    { key, token }: Lease,
    frame: Buffer,
    milliseconds: number,
    message: string,
  ): Promise<boolean> {
    const args = [fixed(token), frame, milliseconds, this.#channel, message]
    return (await this.#run(COMMIT, this.#entry(key), ...args)) === 1
  }

  async write(key: string, frame: Buffer, milliseconds: number, message: string): Promise<void> {
    await this.#run(WRITE, this.#entry(key), frame, milliseconds, this.#channel, message)
  }

  async remove(keys: readonly string[], message: string): Promise<void> {
    const entries = keys.map((key) => this.#entry(key))
    if (entries.length === 1) {
      await this.#run(REMOVE, entries[0]!, this.#channel, message)
      return
    }
    const size = this.#client.isCluster ? 1 : BATCH
    const deletions: Promise<unknown>[] = []
    for (let i = 0; i < entries.length; i += size) deletions.push(this.#del(...entries.slice(i, i + size)))
    await Promise.all(deletions)
    // Not before: who hears it reads again.
    await this.#publish(this.#channel, message)
  }

  async bump(name: string, message: string): Promise<void> {
    await this.#run(BUMP, this.#epoch(name), EPOCH_LIFE, this.#channel, message)
  }

  now(): number {
    return this.#server.clock.now()
  }

  async ping(): Promise<void> {
    await this.#ping()
  }

  async close(): Promise<void> {
    this.#bus?.close()
  }

  #listen(listener: BusListener): void {
    this.#bus = new RedisBus(this.#client, this.#channel, {
      live: () => listener.healed(),
      message: (text) => listener.message(text),
      dropped: () => listener.gap(),
    })
  }

  /** In a cluster the keys belong to different nodes; the client sends each to its own. */
  async #values(names: readonly string[]): Promise<readonly (Buffer | null)[]> {
    const values = this.#client.isCluster
      ? await Promise.all(names.map((name) => this.#get(name)))
      : await this.#mget(...names)
    return bulksIn(values, names.length)
  }

  #run(script: RedisScript, key: string, ...args: RedisArgument[]): Promise<unknown> {
    return this.#scripts.run(script, 1, [key, ...args], asItIs)
  }

  /** Most reads want the namespace's epoch and no other: its key is made once. */
  #only(name: string): readonly string[] {
    if (this.#last.name !== name) this.#last = { name, keys: [this.#epoch(name)] }
    return this.#last.keys
  }

  #entry(key: string): string {
    return `${this.#namespace}:entry:${storeKey(key, MAX_KEY)}`
  }

  #epoch(name: string): string {
    return `${this.#namespace}:epoch:${storeKey(name, MAX_KEY)}`
  }
}

function fixed(token: string): string {
  return token.slice(0, TOKEN_LENGTH).padEnd(TOKEN_LENGTH)
}

function asItIs(reply: unknown): unknown {
  return reply
}
