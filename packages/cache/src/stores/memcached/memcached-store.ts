import { randomUUID } from 'node:crypto'
import { defineOptions, list, misuse, string } from '@spillway/kit'
import { LRUCache } from 'lru-cache'
import { idOf } from '../../entry/frame.js'
import { storeKey } from '../../key.js'
import type { Acquired, CacheStore, Epoch, Lease, Reading, ReadingMany, Tier } from '../../store.js'
import { ServerClock } from '../server-clock.js'
import { MemcachedConnection, MemcachedError } from './memcached-connection.js'
import type { MetaReply } from './meta-parser.js'
import { Ring } from './ring.js'

export interface MemcachedStoreOptions {
  /** Put before each key, so that apps can share servers. Up to 20 letters, digits and `_ . : -`. Default: `''`. */
  readonly keyPrefix?: string
}

const resolveServers = defineOptions('cache', 'memcachedStore', {
  servers: list(string({ pattern: /^\S+:\d{1,5}$/, like: "an address like '10.0.0.1:11211'" }), { min: 1 }),
})
const resolve = defineOptions('cache', 'memcachedStore', { keyPrefix: keyPrefix() }, { keyPrefix: '' })

/**
 * A second tier in Memcached 1.6 or later, over its meta protocol. Keys are spread over several servers by consistent
 * hashing. Each server stands for itself: it holds the epochs of its entries, and when it is away its keys do without a
 * second tier; they do not move to another, which would not hear what the first is told, nor the other way round. It has
 * no bus: other nodes' changes are seen after `l1.ttl` (5 s by default).
 *
 * ```ts
 * const cache = new Cache({ store: memcachedStore(['10.0.0.1:11211', '10.0.0.2:11211']) })
 * ```
 *
 * @throws TypeError | RangeError `ERR_CACHE_OPTION`
 */
export function memcachedStore(
  servers: string | readonly string[],
  options?: MemcachedStoreOptions,
): CacheStore {
  const { servers: addresses } = resolveServers({
    servers: typeof servers === 'string' ? [servers] : servers,
  })
  const { keyPrefix } = resolve(options)
  const ring = new Ring(addresses)
  return {
    kind: 'memcached',
    open: (namespace) => ({
      tiers: addresses.map((address) => new MemcachedTier(address, `${keyPrefix}${namespace}`)),
      of: (key) => ring.serverOf(key),
    }),
  }
}

/** Memcached takes 250 bytes; prefix, namespace and kind need the rest. */
const MAX_KEY = 150
const MONTH = 30 * 86_400
/** Seconds that an epoch lives. Its age is told by what is left of them. */
const EPOCH_LIFE = MONTH
/** Milliseconds. The server counts in whole seconds. */
const CLOCK_PRECISION = 3_000
const MARK = 0x1e
const TOKEN_LENGTH = 22
/** The mark, until when (the server's milliseconds since 1970, float64), the token. */
const LEASE_LENGTH = 1 + 8 + TOKEN_LENGTH

/** A lease of ours: the unique number of the item that stands for it, and the frame behind it. */
interface Holding {
  readonly cas: string
  readonly frame: Buffer | undefined
  /** Milliseconds since 1970. */
  readonly expires: number
}

/**
 * The lease of a missing entry is an empty item, made by the server for one client only (`mg` with `N`). The lease of an
 * entry that is to be replaced stands before its frame. Whoever commits names the item by its unique number (`C`), which
 * any write or delete changes: so a lease is a fence here, too.
 */
/** Bytes of all entries that leases under way stand before. */
const MAX_HELD_BYTES = 64 * 1024 ** 2
/** What a lease takes beside the entry. */
const HOLDING_BYTES = 200

class MemcachedTier implements Tier {
  readonly #connection: MemcachedConnection
  readonly #namespace: string
  readonly #clock: ServerClock
  /** Bounded in bytes, too, since each may hold the entry that it stands before. One that is forgotten stores nothing. */
  readonly #holdings = new LRUCache<string, Holding>({
    max: 10_000,
    maxSize: MAX_HELD_BYTES,
    sizeCalculation: ({ frame }) => HOLDING_BYTES + (frame?.length ?? 0),
  })
  #onReady = () => {}

  constructor(address: string, namespace: string) {
    this.#namespace = namespace
    const colon = address.lastIndexOf(':')
    const host = address.slice(0, colon).replace(/^\[|\]$/g, '')
    this.#connection = new MemcachedConnection(host, Number(address.slice(colon + 1)), () => {
      this.#clock.measure()
      this.#onReady()
    })
    this.#clock = new ServerClock(() => this.#time(), CLOCK_PRECISION)
  }

  get ready(): boolean {
    return this.#connection.ready
  }

  opened(): Promise<void> {
    if (this.ready) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onReady = resolve
    })
  }

  async read(key: string, epochs: readonly string[]): Promise<Reading> {
    const { frames, epochs: found } = await this.readMany([key], epochs)
    return { frame: frames[0], epochs: found }
  }

  async readMany(keys: readonly string[], epochs: readonly string[]): Promise<ReadingMany> {
    const names = [...keys.map((key) => this.#entry(key)), ...epochs.map((name) => this.#epoch(name))]
    const replies = await Promise.all(names.map((name) => this.#send('mg', name, 'v')))
    return {
      frames: replies.slice(0, keys.length).map(({ data }) => frameOf(data)),
      epochs: replies.slice(keys.length).map(({ data }) => data?.toString()),
    }
  }

  epochs(names: readonly string[]): Promise<readonly Epoch[]> {
    return Promise.all(names.map((name) => this.#epochOf(name)))
  }

  async acquire(key: string, token: string, milliseconds: number, seen: string): Promise<Acquired> {
    const name = this.#entry(key)
    const vivify = seen === '' ? ` N${seconds(milliseconds)}` : ''
    const reply = await this.#send('mg', name, `v c t${vivify}`)
    const { data = Buffer.alloc(0) } = reply
    const cas = casOf(reply)
    if (reply.flags.includes('W')) return this.#held(key, token, { cas, frame: undefined, expires: 0 })
    const frame = frameOf(data)
    if ((frame === undefined ? '' : idOf(frame)) !== seen) return 'changed'
    if (frame === undefined || (data[0] === MARK && data.readDoubleBE(1) > this.now())) return 'busy'
    const left = secondsLeft(reply)
    const holding = { cas, frame, expires: Date.now() + (left < 0 ? MONTH : left) * 1000 }
    return (await this.#mark(key, token, holding, milliseconds)) ? { key, token } : 'changed'
  }

  async renew({ key, token }: Lease, milliseconds: number): Promise<boolean> {
    const holding = this.#holdings.get(token)
    return holding !== undefined && this.#mark(key, token, holding, milliseconds)
  }

  async release({ key, token }: Lease): Promise<void> {
    const holding = this.#holdings.get(token)
    if (holding === undefined) return
    this.#holdings.delete(token)
    const { cas, frame, expires } = holding
    if (frame === undefined) await this.#send('md', this.#entry(key), `C${cas}`)
    else await this.#set(key, frame, expires - Date.now(), ` C${cas}`)
  }

  async commit({ key, token }: Lease, frame: Buffer, milliseconds: number): Promise<boolean> {
    const holding = this.#holdings.get(token)
    if (holding === undefined) return false
    this.#holdings.delete(token)
    return (await this.#set(key, frame, milliseconds, ` C${holding.cas}`)).code === 'HD'
  }

  async write(key: string, frame: Buffer, milliseconds: number): Promise<void> {
    await this.#set(key, frame, milliseconds)
  }

  async remove(keys: readonly string[]): Promise<void> {
    await Promise.all(keys.map((key) => this.#send('md', this.#entry(key), '')))
  }

  async bump(name: string): Promise<void> {
    await this.#send('ms', this.#epoch(name), `T${EPOCH_LIFE}`, Buffer.from(randomUUID()))
  }

  now(): number {
    return this.#clock.now()
  }

  async ping(): Promise<void> {
    await this.#connection.send('mn')
  }

  async close(): Promise<void> {
    this.#connection.close()
  }

  /** There is no command for it: but what is left until a date that is known tells. */
  async #time(): Promise<number> {
    const name = `${this.#namespace}:clock`
    const date = Math.floor(Date.now() / 1000) + 2 * MONTH
    const [, reply] = await Promise.all([
      this.#send('ms', name, `T${date}`, Buffer.alloc(0)),
      this.#send('mg', name, 't'),
    ])
    const left = secondsLeft(reply)
    if (left <= 0) throw new MemcachedError('its time is not to be had')
    return (date - left) * 1000
  }

  async #epochOf(name: string): Promise<Epoch> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const reply = await this.#send('mg', this.#epoch(name), 'v t')
      if (reply.data !== undefined) {
        // Whole seconds, by a clock that a timer of the server's moves on, perhaps late: it must not seem older than it is.
        const age = Math.max(0, EPOCH_LIFE - secondsLeft(reply) - 2) * 1000
        return { value: reply.data.toString(), age }
      }
      const value = randomUUID()
      const made = await this.#send('ms', this.#epoch(name), `T${EPOCH_LIFE} ME`, Buffer.from(value))
      if (made.code === 'HD') return { value, age: Number.POSITIVE_INFINITY }
    }
    throw new MemcachedError('an epoch could be neither read nor made')
  }

  /** Writes the lease, in place of the item whose number is known. */
  async #mark(
    key: string,
    token: string,
    { cas, frame, expires }: Holding,
    milliseconds: number,
  ): Promise<boolean> {
    let value = Buffer.alloc(0)
    if (frame !== undefined) {
      value = Buffer.alloc(LEASE_LENGTH + frame.length)
      value[0] = MARK
      value.writeDoubleBE(this.now() + milliseconds, 1)
      value.write(token, 9, TOKEN_LENGTH, 'latin1')
      frame.copy(value, LEASE_LENGTH)
    }
    const life = frame === undefined ? milliseconds : expires - Date.now()
    const reply = await this.#set(key, value, life, ` c C${cas}`)
    if (reply.code !== 'HD') return false
    this.#held(key, token, { cas: casOf(reply), frame, expires })
    return true
  }

  #held(key: string, token: string, holding: Holding): Lease {
    this.#holdings.set(token, holding)
    return { key, token }
  }

  async #set(key: string, value: Buffer, milliseconds: number, flags = ''): Promise<MetaReply> {
    const name = this.#entry(key)
    try {
      return await this.#send('ms', name, `T${seconds(milliseconds)}${flags}`, value)
    } catch (error) {
      // The server's limit is its own (`-I`): such an entry is not stored, and no reason to give the server up.
      if (!(error instanceof MemcachedError) || !error.message.includes('too large')) throw error
      await this.#send('md', name, '')
      return { code: 'HD', flags: [], data: undefined }
    }
  }

  #send(command: string, key: string, flags: string, data?: Buffer): Promise<MetaReply> {
    const size = data === undefined ? '' : ` ${data.length}`
    return this.#connection.send(`${command} ${key}${size} ${flags}`.trimEnd(), data)
  }

  #entry(key: string): string {
    return `${this.#namespace}:entry:${storeKey(key, MAX_KEY)}`
  }

  #epoch(name: string): string {
    return `${this.#namespace}:epoch:${storeKey(name, MAX_KEY)}`
  }
}

/** The frame of an item: behind a lease, or alone. A lease of a missing entry is empty. */
function frameOf(data: Buffer | undefined): Buffer | undefined {
  if (data === undefined || data.length === 0) return undefined
  return data[0] === MARK ? data.subarray(LEASE_LENGTH) : data
}

/** The unique number of an item. It goes into commands, so it must be a number. */
function casOf(reply: MetaReply): string {
  return digitsOf(reply, /^c(\d{1,20})$/)
}

/** Seconds that an item has left; -1: without end. */
function secondsLeft(reply: MetaReply): number {
  return Number(digitsOf(reply, /^t(-1|\d{1,10})$/))
}

function digitsOf({ flags }: MetaReply, pattern: RegExp): string {
  for (const flag of flags) {
    const [, digits] = pattern.exec(flag) ?? []
    if (digits !== undefined) return digits
  }
  throw new MemcachedError('an answer without what was asked for')
}

/**
 * Whole seconds, one more than needed, since the server's second may be almost over; the frame knows the exact end. More
 * than thirty days would be taken for a date in 1970, so it is given as a date.
 */
function seconds(milliseconds: number): number {
  const whole = Math.max(1, Math.ceil(milliseconds / 1000) + 1)
  return whole > MONTH ? Math.floor(Date.now() / 1000) + whole : whole
}

function keyPrefix() {
  return (value: unknown) => {
    if (typeof value === 'string' && /^[\w.:-]{0,20}$/.test(value)) return value
    throw misuse(
      TypeError,
      'ERR_CACHE_OPTION',
      'memcachedStore option "keyPrefix" must be up to 20 letters, digits and _ . : -',
    )
  }
}
