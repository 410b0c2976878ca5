import { UncacheableValueError } from './errors.js'

/**
 * What one look at a value tells: whether JSON keeps it as it is, whether it is made of primitives and frozen data
 * only, and roughly how many bytes it takes in memory.
 */
export interface Shape {
  /** JSON gives it back unchanged. Otherwise it needs the rich codec, and freezing does not protect it. */
  readonly plain: boolean
  readonly bytes: number
}

const RICH = new Set(['Date', 'Map', 'Set', 'RegExp', 'ArrayBuffer', 'DataView', 'URL', 'URLSearchParams'])
/** Deeper values are left to the rich codec, which also knows cycles. */
const MAX_DEPTH = 256

class Survey {
  plain = true
  bytes = 0
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
      this.bytes += value.byteLength
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

/**
 * Looks a value over.
 *
 * @throws UncacheableValueError for functions, symbols and class instances: they would come back as something else
 */
export function shapeOf(value: unknown): Shape {
  const survey = new Survey()
  survey.visit(value, 0)
  return { plain: survey.plain, bytes: survey.bytes }
}
