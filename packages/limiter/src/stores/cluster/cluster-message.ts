import { type AnyMessage, count, type Field, INVALID, messages, number } from '@spillway/kit/message'

/** The number of the protocol; workers and primaries that speak another one do not ask each other. */
export const PROTOCOL = 3

/** Buckets in one request. */
const MOST_KEYS = 256
/** The name of a limit, a blank, and a key or its digest. */
const LONGEST_BUCKET = 256
/** For each bucket at most a run of its own; see `protocol.ts`. */
const MOST_NUMBERS = 9 * MOST_KEYS

const isBucket = (value: unknown) => typeof value === 'string' && value.length <= LONGEST_BUCKET
const keys = arrayOf<string>(isBucket, MOST_KEYS)
const numbers = arrayOf<number>(Number.isFinite, MOST_NUMBERS)
/** Checked by the batch that they answer, number by number. */
const answered = arrayOf<number>(undefined, MOST_NUMBERS)

const types = {
  /** From a worker that opens its store. */
  hello: { version: count() },
  /** The primary's answer to it, and to all workers when it begins to serve. */
  welcome: { version: count() },
  ask: {
    id: count(),
    /** Buckets, `<limit> <key>`, and numbers, as in `protocol.ts`. */
    keys,
    numbers,
    /** Machine time in milliseconds after which the answer is of no use. */
    latest: number(),
  },
  /** Without numbers: the call came too late, and nothing was done. */
  answer: { id: count(), numbers: answered },
} as const

export type ClusterMessage = AnyMessage<'limiter', typeof types>

/**
 * Parses a message between a worker and the primary on the IPC channel of `node:cluster`; `undefined` for every other
 * message on the channel.
 */
export const parseMessage: (raw: unknown) => ClusterMessage | undefined = messages('limiter', types)

/** Not copied as `listOf` does: a message has up to thousands of items, and no other code refers to it. */
function arrayOf<T>(isItem: ((value: unknown) => boolean) | undefined, max: number): Field<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value) || value.length > max) return INVALID
    if (isItem !== undefined) for (let i = 0; i < value.length; i++) if (!isItem(value[i])) return INVALID
    return value
  }
}

/** Milliseconds of a monotonic clock that all processes of a machine share. */
export function machineTime(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}
