import { randomFillSync } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Encoded } from './codec.js'
import type { Times } from './entry.js'

/**
 * An entry as it stands in a store:
 *
 * ```
 * 0  magic C5   1  version 2   2  codec   3  flags (1: payload compressed)
 * 4  id, 8 random bytes: tells two writes of one key apart
 * 12 created   20 fresh until   28 swr until   36 stale until   (the store's milliseconds since 1970, float64)
 * 44 milliseconds the load took   48 length of the stamps   52 length of the payload (uint32)
 * 56 stamps, JSON: [tag, epoch, tag, epoch, ...]; the first pair is the namespace's
 * .. payload
 * ```
 */
export interface Frame extends Times {
  readonly id: string
  readonly codec: number
  readonly stamps: Stamps
  readonly payload: Buffer
}

const MAGIC = 0xc5
const VERSION = 2
const HEAD = 56
const COMPRESSED = 1
/** Where the id stands in the bytes; the stores compare it without reading the rest. */
export const ID_OFFSET = 4
export const ID_LENGTH = 8

/** @param ahead milliseconds that the clock of the store is ahead of the one that the times are by */
export function writeFrame(
  encoded: Encoded,
  times: Times,
  stampsOf: Stamps,
  compressAbove: number | false,
  ahead = 0,
): Buffer {
  const squeeze = compressAbove !== false && encoded.payload.length > compressAbove
  const packed = squeeze ? deflateRawSync(encoded.payload, { level: 1 }) : encoded.payload
  const compressed = packed.length < encoded.payload.length
  const payload = compressed ? packed : encoded.payload
  const stamps = Buffer.from(JSON.stringify(stampsOf))
  const bytes = Buffer.allocUnsafe(HEAD + stamps.length + payload.length)
  bytes[0] = MAGIC
  bytes[1] = VERSION
  bytes[2] = encoded.codec
  bytes[3] = compressed ? COMPRESSED : 0
  randomBytes(ID_LENGTH).copy(bytes, ID_OFFSET)
  bytes.writeDoubleLE(times.created + ahead, 12)
  bytes.writeDoubleLE(times.freshUntil + ahead, 20)
  bytes.writeDoubleLE(times.swrUntil + ahead, 28)
  bytes.writeDoubleLE(times.staleUntil + ahead, 36)
  bytes.writeUInt32LE(Math.min(Math.round(times.loadMs), 0xffff_ffff), 44)
  bytes.writeUInt32LE(stamps.length, 48)
  bytes.writeUInt32LE(payload.length, 52)
  stamps.copy(bytes, HEAD)
  payload.copy(bytes, HEAD + stamps.length)
  return bytes
}

/**
 * @param maxBytes how large a compressed payload may become
 * @param ahead as in {@link writeFrame}
 * @throws when the bytes are not an entry, or one of another version: the caller takes it for a miss
 */
export function readFrame(bytes: Buffer, maxBytes: number, ahead = 0): Frame {
  if (bytes.length < HEAD || bytes[0] !== MAGIC) throw new Error('not an entry of this cache')
  if (bytes[1] !== VERSION) throw new Error(`an entry of version ${bytes[1]}`)
  const start = HEAD + bytes.readUInt32LE(48)
  if (start + bytes.readUInt32LE(52) !== bytes.length) throw new Error('a truncated entry')
  const stamps = readStamps(bytes.toString('utf8', HEAD, start))
  const payload = bytes.subarray(start)
  return {
    id: idOf(bytes),
    codec: bytes[2]!,
    created: timeAt(bytes, 12) - ahead,
    freshUntil: timeAt(bytes, 20) - ahead,
    swrUntil: timeAt(bytes, 28) - ahead,
    staleUntil: timeAt(bytes, 36) - ahead,
    loadMs: bytes.readUInt32LE(44),
    stamps,
    payload:
      (bytes[3]! & COMPRESSED) === 0 ? payload : inflateRawSync(payload, { maxOutputLength: maxBytes }),
  }
}

function timeAt(bytes: Buffer, offset: number): number {
  const time = bytes.readDoubleLE(offset)
  if (!Number.isFinite(time)) throw new Error('an entry with broken times')
  return time
}

let lastText = ''
let lastStamps: Stamps = []

/** Entries without tags all have the same stamps until the namespace is cleared: they are read once. */
function readStamps(text: string): Stamps {
  if (text === lastText) return lastStamps
  const stamps: unknown = JSON.parse(text)
  if (
    !Array.isArray(stamps) ||
    stamps.length % 2 !== 0 ||
    stamps.some((stamp) => typeof stamp !== 'string')
  ) {
    throw new Error('an entry with broken stamps')
  }
  lastText = text
  lastStamps = stamps
  return stamps
}

export function idOf(bytes: Buffer): string {
  return bytes.toString('latin1', ID_OFFSET, ID_OFFSET + ID_LENGTH)
}

/** Random bytes are drawn from the system for many uses at once: a call for each would cost more than the use. */
const pool = Buffer.allocUnsafeSlow(4_096)
let next = pool.length

/** Random bytes, each given out once. They are part of a buffer that others use, too: copy them at once. */
export function randomBytes(count: number): Buffer {
  if (next + count > pool.length) {
    randomFillSync(pool)
    next = 0
  }
  next += count
  return pool.subarray(next - count, next)
}

/** The epoch that every entry carries; `clear` gives it a new value. No tag has this name, since those begin with `#`. */
export const EVERYTHING = 'all'
export function epochName(tag: string): string {
  return `#${tag}`
}

const ONLY_EVERYTHING: readonly string[] = Object.freeze([EVERYTHING])

/** The names of the epochs of an entry with these tags. */
export function epochNames(tags: readonly string[]): readonly string[] {
  return tags.length === 0 ? ONLY_EVERYTHING : [EVERYTHING, ...new Set(tags.map(epochName))]
}

/** Names and their epochs in turn, as they stand in an entry: `['all', '17', '#users', '18']`. */
export type Stamps = readonly string[]

const NO_TAGS: readonly string[] = Object.freeze([])

/** The tags of an entry, whose first stamp is the namespace's. */
export function tagsOf(stamps: Stamps): readonly string[] {
  if (stamps.length === 2) return NO_TAGS
  const tags: string[] = []
  for (let i = 2; i < stamps.length; i += 2) tags.push(stamps[i]!.slice(1))
  return tags
}

/** The epochs that were current when somebody looked. They are few: a list is searched faster than a map is made. */
export class Epochs {
  readonly names: readonly string[]
  readonly #values: readonly (string | undefined)[]

  /** @param values `undefined`: it does not exist */
  constructor(names: readonly string[], values: readonly (string | undefined)[]) {
    this.names = names
    this.#values = values
  }

  /** `undefined`: nobody looked, or it does not exist. */
  of(name: string): string | undefined {
    const at = this.names.indexOf(name)
    return at === -1 ? undefined : this.#values[at]
  }

  /** Those that were looked for and do not exist. */
  missing(): readonly string[] {
    return this.names.filter((_, i) => this.#values[i] === undefined)
  }

  /** Names in an entry that nobody looked for yet; `undefined` when one of the others has a newer epoch. */
  unseen(stamps: Stamps): readonly string[] | undefined {
    let unseen = NO_TAGS
    for (let i = 0; i < stamps.length; i += 2) {
      const at = this.names.indexOf(stamps[i]!)
      if (at === -1) unseen = [...unseen, stamps[i]!]
      else if (this.#values[at] !== stamps[i + 1]) return undefined
    }
    return unseen
  }

  with(names: readonly string[], values: readonly string[]): Epochs {
    if (names.length === 0) return this
    const kept = this.names.filter((name) => !names.includes(name))
    return new Epochs([...kept, ...names], [...kept.map((name) => this.of(name)), ...values])
  }
}
