import { createHash } from 'node:crypto'
import type { Head } from './http-message.js'

/** A response as it stands in the cache. */
export interface StoredResponse extends Head {
  readonly kind: 'response'
  readonly body: Buffer
  /** Milliseconds since 1970 when it was made, as far as its `Age` tells. */
  readonly born: number
  /** Milliseconds since 1970. */
  readonly freshUntil: number
  /** Until then it may be served instead of an error. */
  readonly staleUntil: number
  /** Requests with credentials may have it, too. */
  readonly shared: boolean
}

/** Stands under the key of a resource whose responses vary, and leads to them (RFC 9111 section 4.1). */
export interface Variants {
  readonly kind: 'variants'
  /** Part of the keys of the responses: without this record nobody finds them any more. */
  readonly id: string
  /** Names of the request headers that count, sorted. */
  readonly names: readonly string[]
}

export type Record = StoredResponse | Variants

/** Bytes: the length of the head as uint32, the head as JSON, the body. Bodies stay bytes and are never parsed. */
export function packRecord(record: Record): Buffer {
  const { body, ...head } = record.kind === 'response' ? record : { ...record, body: Buffer.alloc(0) }
  const json = Buffer.from(JSON.stringify(head))
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32BE(json.length)
  return Buffer.concat([length, json, body])
}

/** What was read of bytes that live in the first tier: each hit gives out the same bytes. */
const read = new WeakMap<Buffer, Record>()

/** `undefined` for anything else that somebody may have stored under the key. */
export function unpackRecord(value: unknown): Record | undefined {
  if (!Buffer.isBuffer(value)) return undefined
  const known = read.get(value)
  if (known !== undefined) return known
  const record = parse(value)
  if (record !== undefined) read.set(value, record)
  return record
}

function parse(bytes: Buffer): Record | undefined {
  if (bytes.length < 4) return undefined
  const end = 4 + bytes.readUInt32BE(0)
  try {
    const head = JSON.parse(bytes.toString('utf8', 4, end)) as Record
    if (head.kind === 'variants') return head
    if (head.kind !== 'response') return undefined
    const body = bytes.subarray(end)
    // Known once and for all: a hit has only its age to add.
    const length = head.status === 204 ? {} : { 'content-length': String(body.length) }
    return { ...head, headers: { ...head.headers, ...length }, body }
  } catch {
    return undefined
  }
}

/** A weak validator for a response that brought none: what is sent may still be encoded on its way. */
export function validatorOf(body: Buffer): string {
  return `W/"${createHash('sha1').update(body).digest('base64url')}"`
}
