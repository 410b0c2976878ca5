import { randomUUID } from 'node:crypto'
import { type Clock, wallClock } from '@spillway/kit'
import { LRUCache } from 'lru-cache'
import { idOf } from '../../entry/frame.js'
import { shortName } from '../../short-name.js'
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

export interface MemoryStoreOptions {
  /** Bytes of all entries together. Default: 64 MB. */
  readonly maxBytes?: number
  readonly clock?: Clock
}

interface Item {
  readonly frame: Buffer
  readonly until: number
}

/**
 * A second tier in the memory of this process, shared by all caches that open it: for tests, and for a single
 * process that wants several caches to agree. Least recently used entries go first.
 */
export function memoryStore({
  maxBytes = 64 * 1024 ** 2,
  clock = wallClock,
}: MemoryStoreOptions = {}): CacheStore {
  const namespaces = new Map<string, MemoryNamespace>()
  return {
    kind: 'memory',
    open(name) {
      let namespace = namespaces.get(name)
      if (namespace === undefined) namespaces.set(name, (namespace = new MemoryNamespace(maxBytes, clock)))
      return new MemoryTier(namespace)
    },
  }
}

/** Leases, and epochs of tags, that are kept at most. */
const MAX_NAMES = 100_000

class MemoryNamespace {
  readonly items: LRUCache<string, Item>
  /** One that is forgotten too early stores nothing. */
  readonly leases = new LRUCache<string, { readonly token: string; readonly until: number }>({
    max: MAX_NAMES,
  })
  readonly epochs: LRUCache<string, { readonly value: string; readonly made: number }>
  readonly listeners = new Set<BusListener>()
  readonly clock: Clock
  /** When the newest of the epochs that are forgotten was made: an epoch that seems new may have been made then. */
  #forgotten = Number.NEGATIVE_INFINITY

  constructor(maxBytes: number, clock: Clock) {
    this.items = new LRUCache({ maxSize: maxBytes })
    this.epochs = new LRUCache({
      max: MAX_NAMES,
      dispose: ({ made }, _name, reason) => {
        if (reason === 'evict') this.#forgotten = Math.max(this.#forgotten, made)
      },
    })
    this.clock = clock
  }

  /** Milliseconds since an epoch of which nothing is known was made, at least. */
  ageOfUnknown(): number {
    return performance.now() - this.#forgotten
  }

  frame(key: string): Buffer | undefined {
    const item = this.items.get(key)
    return item !== undefined && item.until > this.clock.now() ? item.frame : undefined
  }

  store(key: string, frame: Buffer, milliseconds: number): void {
    this.items.set(
      key,
      { frame, until: this.clock.now() + milliseconds },
      { size: frame.length + key.length + 1 },
    )
  }

  publish(message: string): void {
    for (const listener of this.listeners) queueMicrotask(() => listener.message(message))
  }
}

/** Epochs of tags begin with `#`, as the digests do: a letter before it keeps short names as they are. */
function epochKey(name: string): string {
  return shortName(`e${name}`)
}

class MemoryTier implements Tier {
  readonly ready = true
  readonly #namespace: MemoryNamespace
  readonly #own = new Set<BusListener>()

  constructor(namespace: MemoryNamespace) {
    this.#namespace = namespace
  }

  async opened(): Promise<void> {}
  async ping(): Promise<void> {}

  async read(key: string, epochs: readonly string[]): Promise<Reading> {
    return { frame: this.#namespace.frame(key), epochs: this.#epochs(epochs) }
  }

  async readMany(keys: readonly string[], epochs: readonly string[]): Promise<ReadingMany> {
    return { frames: keys.map((key) => this.#namespace.frame(key)), epochs: this.#epochs(epochs) }
  }

  async epochs(names: readonly string[]): Promise<readonly Epoch[]> {
    const { epochs } = this.#namespace
    return names.map((name) => {
      const known = epochs.get(epochKey(name))
      if (known !== undefined) return { value: known.value, age: performance.now() - known.made }
      const value = randomUUID()
      epochs.set(epochKey(name), { value, made: performance.now() })
      return { value, age: this.#namespace.ageOfUnknown() }
    })
  }

  async acquire(key: string, token: string, milliseconds: number, seen: string): Promise<Acquired> {
    const { leases, clock } = this.#namespace
    const frame = this.#namespace.frame(key)
    if (frame !== undefined && idOf(frame) !== seen) return 'changed'
    const held = leases.get(shortName(key))
    if (held !== undefined && held.until > clock.now()) return 'busy'
    leases.set(shortName(key), { token, until: clock.now() + milliseconds })
    return { key, token }
  }

  async renew(lease: Lease, milliseconds: number): Promise<boolean> {
    if (!this.#holds(lease)) return false
    const { leases, clock } = this.#namespace
    leases.set(shortName(lease.key), { token: lease.token, until: clock.now() + milliseconds })
    return true
  }

  async release(lease: Lease): Promise<void> {
    if (this.#holds(lease)) this.#namespace.leases.delete(shortName(lease.key))
  }

  async commit(lease: Lease, frame: Buffer, milliseconds: number, message: string): Promise<boolean> {
    if (!this.#holds(lease)) return false
    await this.write(lease.key, frame, milliseconds, message)
    return true
  }

  async write(key: string, frame: Buffer, milliseconds: number, message: string): Promise<void> {
    this.#namespace.leases.delete(shortName(key))
    this.#namespace.store(key, frame, milliseconds)
    this.#namespace.publish(message)
  }

  async remove(keys: readonly string[], message: string): Promise<void> {
    for (const key of keys) {
      this.#namespace.items.delete(key)
      this.#namespace.leases.delete(shortName(key))
    }
    this.#namespace.publish(message)
  }

  async bump(name: string, message: string): Promise<void> {
    this.#namespace.epochs.set(epochKey(name), { value: randomUUID(), made: performance.now() })
    this.#namespace.publish(message)
  }

  listen = (listener: BusListener): void => {
    this.#own.add(listener)
    this.#namespace.listeners.add(listener)
    listener.healed()
  }

  async close(): Promise<void> {
    for (const listener of this.#own) this.#namespace.listeners.delete(listener)
  }

  #holds({ key, token }: Lease): boolean {
    const held = this.#namespace.leases.get(shortName(key))
    return held !== undefined && held.token === token && held.until > this.#namespace.clock.now()
  }

  #epochs(names: readonly string[]): (string | undefined)[] {
    return names.map((name) => this.#namespace.epochs.get(epochKey(name))?.value)
  }
}
