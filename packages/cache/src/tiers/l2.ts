import type { Clock } from '@spillway/kit'
import { channels } from '../channels.js'
import { decode, type Encoded, inspectValue, JSON_CODEC, plainShape } from '../entry/codec.js'
import { createEntry, type L1Entry, type Times } from '../entry/entry.js'
import {
  Epochs,
  epochNames,
  type Frame,
  idOf,
  randomBytes,
  readFrame,
  type Stamps,
  tagsOf,
  writeFrame,
} from '../entry/frame.js'
import type { Share } from '../options.js'
import type { BusListener, Lease } from '../store.js'
import type { GuardedTier } from './guarded-tier.js'

export interface L2Options {
  readonly name: string
  readonly maxValueBytes: number
  readonly compressAbove: number | false
  readonly clock: Clock
}

/** Result of a read of the store. */
export interface L2Read {
  /** The id of whatever stands there, valid or not; `''` when nothing does. */
  readonly seen: string
  /** The entry, when it is valid: readable and not invalidated. It may be expired. */
  readonly frame: Frame | undefined
  readonly epochs: Epochs
}

interface Judged extends L2Read {
  /** Names of epochs that must still be looked at. */
  readonly unseen: readonly string[]
}

/** Lease of one load: the right to write its value, and the epochs that the entry must carry. */
export interface LoadLease {
  readonly lease: Lease
  /** The epochs that were current before the load began. */
  readonly epochs: Epochs
}

export type Granted = LoadLease | 'busy' | 'changed'

/** An entry that is to be written. */
export interface NewEntry {
  readonly encoded: Encoded
  readonly tags: readonly string[]
  readonly times: Times
}

const NONE: readonly string[] = []
/** So many bytes that nobody guesses the token of a lease. */
const TOKEN_BYTES = 16
const NOTHING_SEEN = new Epochs([], [])

/** Second tier: reads entries of the store and checks them, and writes them with the epochs of their tags. */
export class L2 {
  /** One for each server that fails by itself. */
  readonly guards: readonly GuardedTier[]
  readonly #of: (key: string) => number
  readonly #options: L2Options

  /** @param of the index of the guard of a key */
  constructor(guards: readonly GuardedTier[], of: (key: string) => number, options: L2Options) {
    this.guards = guards
    this.#of = of
    this.#options = options
  }

  /** Other nodes' changes become known at once. */
  get hasBus(): boolean {
    return this.guards.every(({ tier }) => tier.listen !== undefined)
  }

  guardOf(key: string): GuardedTier {
    return this.guards.length === 1 ? this.guards[0]! : this.guards[this.#of(key)]!
  }

  /** Milliseconds since 1970 by the clock of the server of a key, as far as it is known. */
  now(key: string): number {
    const { tier } = this.guardOf(key)
    return tier.now === undefined ? this.#options.clock.now() : tier.now()
  }

  /** One entry with the epochs that its tags should have, in one round trip. */
  look(key: string, tags: readonly string[]): Promise<L2Read> {
    const names = epochNames(tags)
    const guard = this.guardOf(key)
    return guard
      .run((tier) => tier.read(key, names))
      .then(({ frame, epochs }) =>
        this.#verified(guard, this.#judge(guard, frame, new Epochs(names, epochs))),
      )
  }

  /** Entries by their keys, in one round trip per server; those whose server is away are missing. */
  async lookMany(keys: readonly string[]): Promise<Map<string, L2Read>> {
    const found = new Map<string, L2Read>()
    const parts = [...this.split(keys)].map(async ([guard, part]) => {
      try {
        if (guard.opening !== undefined) await guard.opening
        const names = epochNames([])
        const { frames, epochs } = await guard.run((tier) => tier.readMany(part, names))
        const seen = new Epochs(names, epochs)
        await Promise.all(
          part.map(async (key, i) => {
            found.set(key, await this.#verified(guard, this.#judge(guard, frames[i], seen)))
          }),
        )
      } catch (error) {
        this.#reject('store', error)
      }
    })
    await Promise.all(parts)
    return found
  }

  /** The keys of each server. */
  split(keys: readonly string[]): Map<GuardedTier, string[]> {
    const parts = new Map<GuardedTier, string[]>()
    for (const key of keys) {
      const guard = this.guardOf(key)
      const part = parts.get(guard)
      if (part === undefined) parts.set(guard, [key])
      else part.push(key)
    }
    return parts
  }

  /** Has the listener told of other nodes' changes, if the store can. */
  listen(listener: BusListener): void {
    for (const { tier } of this.guards) tier.listen?.(listener)
  }

  async close(): Promise<void> {
    for (const guard of this.guards) guard.close()
    await Promise.all(this.guards.map(({ tier }) => tier.close()))
  }

  /** The entry of a frame; `undefined` when its payload cannot be read. */
  unpack(frame: Frame, clock: number, share: Share): L1Entry | undefined {
    try {
      const value = decode(frame.codec, frame.payload)
      const shape =
        frame.codec === JSON_CODEC ? plainShape(frame.payload.length * 2 + 64) : inspectValue(value)
      const { id, stamps } = frame
      return createEntry({ value, shape, known: false, tags: tagsOf(stamps), id, clock }, frame, share)
    } catch (error) {
      this.#reject('corrupt', error)
      return undefined
    }
  }

  /** Whether a value of this size may be written. */
  admits({ payload }: Encoded): boolean {
    const fits = payload.length <= this.#options.maxValueBytes
    if (!fits) this.#reject('oversize', new RangeError(`An entry of ${payload.length} bytes is too large`))
    return fits
  }

  /**
   * Asks for the right to load, and makes the epochs that are missing, so that all are known before the load begins.
   * The lease may be granted although the answer is late: then nobody holds it, and it runs out.
   */
  async acquire(key: string, milliseconds: number, { seen, epochs }: L2Read): Promise<Granted> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url')
    const missing = epochs.missing()
    const [acquired, made] = await this.guardOf(key).run((tier) =>
      Promise.all([
        tier.acquire(key, token, milliseconds, seen),
        missing.length === 0 ? [] : tier.epochs(missing),
      ]),
    )
    if (typeof acquired === 'string') return acquired
    return {
      lease: acquired,
      epochs: epochs.with(
        missing,
        made.map(({ value }) => value),
      ),
    }
  }

  /**
   * Writes the result of a load, and ends its lease.
   *
   * @param begun when the load began, by `performance.now()`; a tag that only the loader knew must be older than that
   * @returns the id of the entry; `undefined` when the key or one of its tags was invalidated meanwhile
   */
  async commit(
    { lease, epochs }: LoadLease,
    draft: NewEntry,
    begun: number,
    message: string,
  ): Promise<string | undefined> {
    const guard = this.guardOf(lease.key)
    const stamps = await this.#stamps(guard, draft.tags, epochs, begun)
    if (stamps === undefined) {
      await guard.run((tier) => tier.release(lease))
      return undefined
    }
    const bytes = this.#pack(guard, draft, stamps)
    const ok = await guard.run((tier) => tier.commit(lease, bytes, lifetime(draft), message))
    return ok ? idOf(bytes) : undefined
  }

  /** Writes in any case. Returns the id of the entry. */
  async write(key: string, draft: NewEntry, message: string): Promise<string> {
    const guard = this.guardOf(key)
    const stamps = await this.#stamps(guard, draft.tags, NOTHING_SEEN, Number.POSITIVE_INFINITY)
    const bytes = this.#pack(guard, draft, stamps!)
    await guard.run((tier) => tier.write(key, bytes, lifetime(draft), message))
    return idOf(bytes)
  }

  #judge(guard: GuardedTier, bytes: Buffer | undefined, epochs: Epochs): Judged {
    if (bytes === undefined) return { seen: '', frame: undefined, epochs, unseen: NONE }
    try {
      const frame = readFrame(bytes, this.#options.maxValueBytes, this.#ahead(guard))
      const unseen = epochs.unseen(frame.stamps)
      return unseen === undefined
        ? { seen: frame.id, frame: undefined, epochs, unseen: NONE }
        : { seen: frame.id, frame, epochs, unseen }
    } catch (error) {
      this.#reject('corrupt', error)
      return { seen: idOf(bytes), frame: undefined, epochs, unseen: NONE }
    }
  }

  #verified(guard: GuardedTier, look: Judged): L2Read | Promise<L2Read> {
    return look.unseen.length === 0 ? look : this.#verify(guard, look)
  }

  /** Looks at the epochs that only the entry could name: tags that its loader set. */
  async #verify(guard: GuardedTier, look: Judged): Promise<L2Read> {
    const { frame, epochs, unseen } = look
    const found = await guard.run((tier) => tier.epochs(unseen))
    const all = epochs.with(
      unseen,
      found.map(({ value }) => value),
    )
    return all.unseen(frame!.stamps) === undefined ? { ...look, frame: undefined } : look
  }

  async #stamps(
    guard: GuardedTier,
    tags: readonly string[],
    before: Epochs,
    begun: number,
  ): Promise<Stamps | undefined> {
    const names = epochNames(tags)
    const unknown = names.filter((name) => before.of(name) === undefined)
    const found = unknown.length === 0 ? [] : await guard.run((tier) => tier.epochs(unknown))
    // Measured at the answer: that its way took time can only make a load look longer, and this fence stricter.
    const elapsed = performance.now() - begun
    if (found.some((epoch) => epoch.age <= elapsed)) return undefined
    const all = before.with(
      unknown,
      found.map(({ value }) => value),
    )
    return names.flatMap((name) => [name, all.of(name)!])
  }

  #pack(guard: GuardedTier, { encoded, times }: NewEntry, stamps: Stamps): Buffer {
    return writeFrame(encoded, times, stamps, this.#options.compressAbove, this.#ahead(guard))
  }

  /** Milliseconds that the clock of a server is ahead of the cache's. */
  #ahead({ tier }: GuardedTier): number {
    return tier.now === undefined ? 0 : tier.now() - this.#options.clock.now()
  }

  #reject(reason: 'corrupt' | 'oversize' | 'store', error: unknown): void {
    channels.reject.publish(() => ({ cache: this.#options.name, reason, error }))
  }
}

function lifetime({ times: { created, staleUntil } }: NewEntry): number {
  return Math.max(1, Math.ceil(staleUntil - created))
}
