import { parse, stringify } from 'devalue'
import { UncacheableValueError } from '../errors.js'
import { copyBuffer, deepClone } from './clone.js'

/**
 * What one look at a value tells: whether JSON keeps it as it is, whether it is made of primitives and frozen data
 * only, and roughly how many bytes it takes in memory.
 */
export interface Shape {
  /** JSON gives it back unchanged. Otherwise it needs the rich codec, and freezing does not protect it. */
  readonly plain: boolean
  /** Of a copy that shares nothing with the value. */
  readonly bytes: number
  /** Of the value itself: a view of ten bytes keeps all the bytes of its buffer alive. At least {@link bytes}. */
  readonly retained: number
  /** It has views that do not own all the bytes of their buffers, so that only a copy is as small as it looks. */
  readonly loose: boolean
}

const RICH = new Set(['Date', 'Map', 'Set', 'RegExp', 'ArrayBuffer', 'DataView', 'URL', 'URLSearchParams'])
/** Deeper values are left to the rich codec, which also knows cycles. */
const MAX_DEPTH = 256

class Inspector {
  plain = true
  bytes = 0
  excess = 0
  loose = false
  readonly #seen = new Set<object>()

  visit(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.bytes += 16 + value.length * 2
        return
      case 'number':
        this.bytes += 8
        if (!Number.isFinite(value) || Object.is(value, -0)) this.plain = false
        return
      case 'boolean':
        this.bytes += 4
        return
      case 'undefined':
      case 'bigint':
        this.bytes += 16
        this.plain = false
        return
      case 'function':
      case 'symbol':
        throw new UncacheableValueError(`it contains a ${typeof value}`)
    }
    if (value === null) this.bytes += 4
    else this.#object(value as object, depth)
  }

  #object(value: object, depth: number): void {
    this.bytes += 32
    if (depth > MAX_DEPTH) this.plain = false
    if (!this.plain) {
      // Once rich, a value may be a graph: everything is counted once.
      if (this.#seen.has(value)) return
      this.#seen.add(value)
    }
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) {
        if (!(i in value)) this.plain = false
        this.visit(value[i], depth + 1)
      }
      return
    }
    if (ArrayBuffer.isView(value)) {
      this.plain = false
      this.#view(value)
      return
    }
    const prototype = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) {
      this.#record(value as Record<string, unknown>, depth)
      return
    }
    this.plain = false
    this.#rich(value, depth)
  }

  /** Several views may share a buffer: a copy has the bytes of each, the value itself those of the buffer once. */
  #view({ buffer, byteLength }: ArrayBufferView): void {
    this.bytes += byteLength
    this.excess -= byteLength
    if (!this.#seen.has(buffer)) {
      this.#seen.add(buffer)
      this.excess += buffer.byteLength
    }
    if (byteLength !== buffer.byteLength || isShared(buffer)) this.loose = true
  }

  #record(value: Record<string, unknown>, depth: number): void {
    // A `toJSON` or a null prototype would not come back; the rich codec keeps or refuses it.
    if (typeof value.toJSON === 'function') throw new UncacheableValueError('it contains a function')
    if (Object.getPrototypeOf(value) === null) this.plain = false
    if (Object.getOwnPropertySymbols(value).length > 0)
      throw new UncacheableValueError('it has symbols as keys')
    for (const name in value) {
      if (name === '__proto__') throw new UncacheableValueError('it has a member named __proto__')
      this.bytes += 8 + name.length
      this.visit(value[name], depth + 1)
    }
  }

  #rich(value: object, depth: number): void {
    const kind = Object.prototype.toString.call(value).slice(8, -1)
    if (!RICH.has(kind)) {
      throw new UncacheableValueError(`it contains an instance of ${value.constructor?.name ?? kind}`)
    }
    if (value instanceof Map) {
      for (const [key, item] of value) {
        this.visit(key, depth + 1)
        this.visit(item, depth + 1)
      }
    } else if (value instanceof Set) for (const item of value) this.visit(item, depth + 1)
    else if (value instanceof ArrayBuffer) this.bytes += value.byteLength
  }
}

/** Memory that other threads may change is not the value's own. */
function isShared(buffer: ArrayBufferLike): boolean {
  return Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]'
}

/**
 * Looks a value over.
 *
 * @throws UncacheableValueError for functions, symbols and class instances: they would come back as something else
 */
export function inspectValue(value: unknown): Shape {
  const survey = new Inspector()
  survey.visit(value, 0)
  const { plain, bytes, excess, loose } = survey
  return { plain, bytes, retained: bytes + Math.max(0, excess), loose }
}

/** The shape of what JSON has just given back. */
export function plainShape(bytes: number): Shape {
  return { plain: true, bytes, retained: bytes, loose: false }
}

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
