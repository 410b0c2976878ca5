import { createHash } from 'node:crypto'
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Head } from './http-message.js'
import { AUDIENCES, type Audience } from './http-policy.js'

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
  readonly audience: Audience
}

/** Stands under the key of a resource whose responses vary, and leads to them (RFC 9111 section 4.1). */
export interface Variants {
  readonly kind: 'variants'
  /** Part of the keys of the responses: without this record nobody finds them any more. */
  readonly id: string
  /** Names of the request headers that count, sorted. */
  readonly names: readonly string[]
}

/** Is never stored: tells those who wait for a response that it is not for others. */
export interface Refused {
  readonly kind: 'refused'
  /** It was made for a client with credentials: what strangers would get is another question. */
  readonly credentials: boolean
}

export type Record = StoredResponse | Variants | Refused

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

/** `undefined` for what is not a record, or one of another version: a store is not trusted. */
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
  if (end > bytes.length) return undefined
  try {
    const head: unknown = JSON.parse(bytes.toString('utf8', 4, end))
    if (typeof head !== 'object' || head === null) return undefined
    const record = head as Partial<Record>
    if (record.kind === 'variants') return isVariants(record) ? record : undefined
    if (record.kind === 'refused') return record as Refused
    if (record.kind !== 'response' || !isHead(record)) return undefined
    const body = bytes.subarray(end)
    // Known once and for all: a hit has only its age to add.
    const length = record.status === 204 ? {} : { 'content-length': String(body.length) }
    return { ...record, headers: { ...record.headers, ...length }, body }
  } catch {
    return undefined
  }
}

function isVariants(record: Partial<Variants>): record is Variants {
  const { id, names } = record
  return typeof id === 'string' && Array.isArray(names) && names.every((name) => typeof name === 'string')
}

/** @throws when a header could not be sent */
function isHead(record: Partial<StoredResponse>): record is Omit<StoredResponse, 'body'> {
  const { status, headers, born, freshUntil, staleUntil, audience } = record
  if (!Number.isInteger(status) || status! < 200 || status! > 599) return false
  if (![born, freshUntil, staleUntil].every(Number.isFinite)) return false
  if (!AUDIENCES.includes(audience!) || typeof headers !== 'object' || headers === null) return false
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name)
    for (const each of [value].flat()) {
      if (typeof each !== 'string') return false
      validateHeaderValue(name, each)
    }
  }
  return true
}

/** A weak validator for a response that brought none: what is sent may still be encoded on its way. */
export function validatorOf(body: Buffer): string {
  return `W/"${createHash('sha1').update(body).digest('base64url')}"`
}
