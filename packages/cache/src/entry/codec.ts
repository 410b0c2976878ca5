import { parse, stringify } from 'devalue'
import { UncacheableValueError } from '../errors.js'
import { copyBuffer, deepClone } from './clone.js'
import type { Shape } from './inspect-value.js'

/** How the payload of an entry is written. Stored in the entry; never renumber. */
export const JSON_CODEC = 0
export const RICH_CODEC = 1
export const BYTES_CODEC = 2

export interface Encoded {
  readonly codec: number
  readonly payload: Buffer
}

// In a list, since an empty text would say "not one of mine".
const REDUCERS = { Buffer: (value: unknown) => Buffer.isBuffer(value) && [value.toString('base64')] }
// Without a prototype: a stored value names its reviver, and must not find what every object inherits.
const REVIVERS: Record<string, (texts: unknown) => unknown> = Object.assign(Object.create(null), {
  Buffer: (texts: unknown) => copyBuffer(Buffer.from(String(texts), 'base64')),
})

/**
 * Three ways, chosen by the value: bytes as they are, JSON when JSON keeps everything, otherwise devalue (Date, Map,
 * Set, BigInt, typed arrays, NaN, -0, undefined members, cycles). `v8.serialize` is slower than JSON on small
 * values, ties entries to a V8 version and is not meant for bytes from elsewhere.
 */
export function encode(value: unknown, { plain, loose }: Pick<Shape, 'plain' | 'loose'>): Encoded {
  if (Buffer.isBuffer(value)) return { codec: BYTES_CODEC, payload: value }
  if (plain) return { codec: JSON_CODEC, payload: Buffer.from(JSON.stringify(value)) }
  try {
    // devalue writes the whole buffer behind a view.
    const own = loose ? deepClone(value) : value
    return { codec: RICH_CODEC, payload: Buffer.from(stringify(own, REDUCERS)) }
  } catch (error) {
    throw new UncacheableValueError(error instanceof Error ? error.message : String(error), error)
  }
}

/** @throws whatever is wrong with the bytes: the caller takes it for a miss */
export function decode(codec: number, payload: Buffer): unknown {
  switch (codec) {
    case JSON_CODEC:
      return JSON.parse(payload.toString())
    case RICH_CODEC:
      return parse(payload.toString(), REVIVERS)
    case BYTES_CODEC:
      return copyBuffer(payload)
    default:
      throw new RangeError(`unknown codec ${codec}`)
  }
}
