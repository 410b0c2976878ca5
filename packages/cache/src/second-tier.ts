import { channels } from './channels.js'
import { decode, type Encoded, JSON_CODEC } from './codec.js'
import { type Frame, idOf, readFrame, writeFrame } from './frame.js'
import type { Times } from './freshness.js'
import type { Guard } from './guard.js'
import { type Held, hold, type Share } from './held.js'
import { shapeOf } from './shape.js'
import type { Lease } from './store.js'

export interface SecondTierOptions {
  readonly name: string
  readonly share: Share
  readonly maxValueBytes: number
  readonly compressAbove: number | false
}

/** The epochs that were current when somebody looked, by name. */
export type Epochs = ReadonlyMap<string, string | undefined>

/** What a look at the store found. */
export interface Look {
  /** The id of whatever stands there, valid or not; `''` when nothing does. */
  readonly seen: string
  /** The entry, when it is valid: readable and not invalidated. It may be expired. */
  readonly frame: Frame | undefined
  readonly epochs: Epochs
}

/** The right to write what a load brings. */
export interface Permit {
  readonly lease: Lease
  /** The epochs that were current before the load began. */
  readonly epochs: Epochs
}

export type Granted = Permit | 'busy' | 'changed'

/** What is to be written, all but its lifetime. */
export interface Draft {
  readonly encoded: Encoded
  readonly tags: readonly string[]
  readonly times: Times
}

/** The epoch that every entry carries; `clear` gives it a new value. No tag has this name, since those begin with `#`. */
export const EVERYTHING = 'all'
export function epochName(tag: string): string {
  return `#${tag}`
}

/** The entries in the store: reads and checks them, and writes them with the epochs of their tags. */
export class SecondTier {
  readonly guard: Guard
  readonly #options: SecondTierOptions

  constructor(guard: Guard, options: SecondTierOptions) {
    this.guard = guard
    this.#options = options
  }

  /** One entry with the epochs that its tags should have, in one round trip. */
  async look(key: string, tags: readonly string[]): Promise<Look> {
    const names = [EVERYTHING, ...tags.map(epochName)]
    const { frame, epochs } = await this.guard.run((tier) => tier.read(key, names))
    return this.#judge(frame, new Map(names.map((name, i) => [name, epochs[i]])))
  }

  async lookMany(keys: readonly string[]): Promise<Look[]> {
    const { frames, epochs } = await this.guard.run((tier) => tier.readMany(keys, [EVERYTHING]))
    return Promise.all(frames.map((frame) => this.#judge(frame, new Map([[EVERYTHING, epochs[0]]]))))
  }

  /** The entry of a frame; `undefined` when its payload cannot be read. */
  unpack(frame: Frame, clock: number): Held | undefined {
    try {
      const value = decode(frame.codec, frame.payload)
      const plain = frame.codec === JSON_CODEC
      const { created, freshUntil, swrUntil, staleUntil, loadMs, id } = frame
      const bytes = plain ? frame.payload.length * 2 + 64 : shapeOf(value).bytes
      const tags = frame.stamps.filter((_, i) => i > 0 && i % 2 === 0).map((name) => name.slice(1))
      return hold(
        {
          value,
          plain,
          known: false,
          bytes,
          created,
          freshUntil,
          swrUntil,
          staleUntil,
          loadMs,
          tags,
          id,
          clock,
        },
        this.#options.share,
      )
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
  async acquire(key: string, token: string, milliseconds: number, { seen, epochs }: Look): Promise<Granted> {
    const missing = [...epochs.keys()].filter((name) => epochs.get(name) === undefined)
    const [acquired, made] = await this.guard.run((tier) =>
      Promise.all([
        tier.acquire(key, token, milliseconds, seen),
        missing.length === 0 ? [] : tier.epochs(missing),
      ]),
    )
    if (typeof acquired === 'string') return acquired
    return {
      lease: acquired,
      epochs: new Map([...epochs, ...missing.map((name, i) => [name, made[i]!.value] as const)]),
    }
  }

  /**
   * Writes the result of a load, and ends its lease.
   *
   * @param begun when the load began, by `performance.now()`; a tag that only the loader knew must be older than that
   * @returns the id of the entry; `undefined` when the key or one of its tags was invalidated meanwhile
   */
  async commit(
    { lease, epochs }: Permit,
    draft: Draft,
    begun: number,
    message: string,
  ): Promise<string | undefined> {
    const stamps = await this.#stamps(draft.tags, epochs, begun)
    if (stamps === undefined) {
      await this.guard.run((tier) => tier.release(lease))
      return undefined
    }
    const bytes = this.#pack(draft, stamps)
    const ok = await this.guard.run((tier) => tier.commit(lease, bytes, lifetime(draft), message))
    return ok ? idOf(bytes) : undefined
  }

  /** Writes in any case. Returns the id of the entry. */
  async write(key: string, draft: Draft, message: string): Promise<string> {
    const stamps = await this.#stamps(draft.tags, new Map(), Number.POSITIVE_INFINITY)
    const bytes = this.#pack(draft, stamps!)
    await this.guard.run((tier) => tier.write(key, bytes, lifetime(draft), message))
    return idOf(bytes)
  }

  async #judge(bytes: Buffer | undefined, epochs: Epochs): Promise<Look> {
    const nothing = { seen: bytes === undefined ? '' : idOf(bytes), frame: undefined, epochs }
    if (bytes === undefined) return nothing
    let frame: Frame
    try {
      frame = readFrame(bytes, this.#options.maxValueBytes)
    } catch (error) {
      this.#reject('corrupt', error)
      return nothing
    }
    return (await this.#current(frame.stamps, epochs)) ? { ...nothing, frame } : nothing
  }

  async #current(stamps: readonly string[], epochs: Epochs): Promise<boolean> {
    const unknown: string[] = []
    for (let i = 0; i < stamps.length; i += 2) {
      const name = stamps[i]!
      if (!epochs.has(name)) unknown.push(name)
      else if (epochs.get(name) !== stamps[i + 1]) return false
    }
    if (unknown.length === 0) return true
    const found = await this.guard.run((tier) => tier.epochs(unknown))
    return unknown.every((name, i) => found[i]!.value === stamps[stamps.indexOf(name) + 1])
  }

  async #stamps(tags: readonly string[], before: Epochs, begun: number): Promise<string[] | undefined> {
    const names = [EVERYTHING, ...new Set(tags.map(epochName))]
    const unknown = names.filter((name) => before.get(name) === undefined)
    const found = unknown.length === 0 ? [] : await this.guard.run((tier) => tier.epochs(unknown))
    // Measured at the answer: that its way took time can only make a load look longer, and this fence stricter.
    const elapsed = performance.now() - begun
    if (found.some((epoch) => epoch.age <= elapsed)) return undefined
    const values = new Map(unknown.map((name, i) => [name, found[i]!.value]))
    return names.flatMap((name) => [name, before.get(name) ?? values.get(name)!])
  }

  #pack({ encoded, times }: Draft, stamps: readonly string[]): Buffer {
    return writeFrame({ ...encoded, ...times, stamps }, this.#options.compressAbove)
  }

  #reject(reason: 'corrupt' | 'oversize', error: unknown): void {
    channels.reject.publish(() => ({ cache: this.#options.name, reason, error }))
  }
}

function lifetime({ times: { created, staleUntil } }: Draft): number {
  return Math.max(1, Math.ceil(staleUntil - created))
}
