import type { RedisCommand } from '@spillway/kit'
import type { Reading } from '../../store.js'
import { LEASE_LENGTH, LEASE_MARK } from './redis-scripts.js'

interface Wanted {
  readonly entry: string
  readonly epochs: readonly string[]
  readonly resolve: (reading: Reading) => void
  readonly reject: (error: unknown) => void
}

/** Entries in one command at most: Redis looks for the first ones while the next are written. */
const BATCH = 16
/** Bytes that one reply should have at most: Redis makes the next one while this one is read. */
const REPLY = 65_536

/**
 * Reads that are wanted at the same time are an MGET for every few of them: one write to the socket and one reply, and the
 * epoch that they share once. They go out when everything that is due now has run, so that they cost nobody a wait.
 */
export class RedisReads {
  readonly #mget: RedisCommand
  #wanted: Wanted[] = []
  /** Bytes of an entry, as of late. */
  #size = 0

  constructor(mget: RedisCommand) {
    this.#mget = mget
  }

  read(entry: string, epochs: readonly string[]): Promise<Reading> {
    return new Promise((resolve, reject) => {
      if (this.#wanted.length === 0) process.nextTick(this.#send)
      this.#wanted.push({ entry, epochs, resolve, reject })
    })
  }

  readonly #send = () => {
    const wanted = this.#wanted
    this.#wanted = []
    const most = Math.max(1, Math.min(BATCH, Math.floor(REPLY / (this.#size + 1))))
    if (wanted.length <= most) this.#ask(wanted)
    else for (let i = 0; i < wanted.length; i += most) this.#ask(wanted.slice(i, i + most))
  }

  #ask(wanted: readonly Wanted[]): void {
    if (wanted.length === 1) this.#one(wanted[0]!)
    else this.#many(wanted)
  }

  #one({ entry, epochs, resolve, reject }: Wanted): void {
    this.#mget(entry, ...epochs).then((reply) => {
      if (!areBulks(reply, 1 + epochs.length)) return reject(new RedisReplyError())
      const [frame = null, ...values] = reply
      this.#weigh(frame?.length ?? 0)
      resolve({ frame: frameOf(frame), epochs: values.map(textOf) })
    }, reject)
  }

  #many(wanted: readonly Wanted[]): void {
    const names = wanted.map(({ entry }) => entry)
    const places = new Map<string, number>()
    for (const { epochs } of wanted) {
      for (const name of epochs) if (!places.has(name)) places.set(name, names.push(name) - 1)
    }
    const fail = (error: unknown) => {
      for (const { reject } of wanted) reject(error)
    }
    this.#mget(...names).then((values) => {
      if (!areBulks(values, names.length)) return fail(new RedisReplyError())
      const texts = new Map<string, string | undefined>()
      for (const [name, at] of places) texts.set(name, textOf(values[at]!))
      let bytes = 0
      for (let i = 0; i < wanted.length; i++) {
        const { epochs, resolve } = wanted[i]!
        bytes += values[i]?.length ?? 0
        resolve({ frame: frameOf(values[i]!), epochs: epochs.map((name) => texts.get(name)) })
      }
      this.#weigh(bytes / wanted.length)
    }, fail)
  }

  /** Large entries are believed at once, smaller ones by and by. */
  #weigh(bytes: number): void {
    this.#size = Math.max(bytes, this.#size + (bytes - this.#size) / 16)
  }
}

/** The frame behind a lease. */
export function frameOf(value: Buffer | null): Buffer | undefined {
  if (value === null) return undefined
  if (value[0] !== LEASE_MARK) return value
  return value.length > LEASE_LENGTH ? value.subarray(LEASE_LENGTH) : undefined
}

export function textOf(value: Buffer | null): string | undefined {
  return value?.toString('latin1')
}

/** The reply of a server that does not keep to its protocol, or of a proxy before it. */
export class RedisReplyError extends Error {
  constructor() {
    super('Redis gave a reply of another kind than the command has')
  }
}

/**
 * Whether a reply is that of an `MGET`: a bulk string for each key. It throws nothing, since reads go through it: a
 * rejection handler behind each of them would cost one more promise.
 */
export function areBulks(reply: unknown, count: number): reply is readonly (Buffer | null)[] {
  if (!Array.isArray(reply) || reply.length !== count) return false
  for (let i = 0; i < count; i++) if (reply[i] !== null && !Buffer.isBuffer(reply[i])) return false
  return true
}

/**
 * The bulk strings of an `MGET`, one for each key.
 *
 * @throws RedisReplyError
 */
export function bulksIn(reply: unknown, count: number): readonly (Buffer | null)[] {
  if (!areBulks(reply, count)) throw new RedisReplyError()
  return reply
}

/**
 * A pair of texts.
 *
 * @throws RedisReplyError
 */
export function textsIn(reply: unknown): readonly [string, string] {
  if (Array.isArray(reply) && reply.length === 2) {
    const [first, second] = reply as readonly unknown[]
    if (typeof first === 'string' && typeof second === 'string') return [first, second]
  }
  throw new RedisReplyError()
}
