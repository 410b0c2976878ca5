/**
 * A copy of what JSON keeps as it is: no cycles, no classes. Containers are copied whole, which the engine does by their
 * shape, and what is in them only where it is a container again.
 */
export function clonePlain<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const list = value.slice()
    for (let i = 0; i < list.length; i++) {
      if (typeof list[i] === 'object' && list[i] !== null) list[i] = clonePlain(list[i])
    }
    return list as T
  }
  const record = { ...value }
  for (const name in record) {
    const member = record[name]
    if (typeof member === 'object' && member !== null) record[name] = clonePlain(member)
  }
  return record
}

/**
 * A copy that shares nothing with the original, and whose views have buffers of exactly their size: `structuredClone`
 * makes a Buffer a `Uint8Array`, copies the whole buffer behind a view, and shares memory that is shared.
 */
export function deepClone<T>(value: T): T {
  return copy(value, new Map(), Buffer.from) as T
}

/** The same, of which nothing is in the pool of small Buffers: a copy that is kept would keep a whole slab alive. */
export function deepCloneToKeep<T>(value: T): T {
  return copy(value, new Map(), copyBuffer) as T
}

function copy(value: unknown, done: Map<object, unknown>, bytesOf: (buffer: Buffer) => Buffer): unknown {
  if (typeof value !== 'object' || value === null) return value
  const known = done.get(value)
  if (known !== undefined) return known
  if (Buffer.isBuffer(value)) return remember(bytesOf(value))
  if (ArrayBuffer.isView(value)) return remember(copyView(value))
  if (Array.isArray(value)) {
    const list = remember(new Array<unknown>(value.length))
    for (const index in value) list[index] = copy(value[index], done, bytesOf)
    return list
  }
  if (value instanceof Map) {
    const map = remember(new Map<unknown, unknown>())
    for (const [key, item] of value) map.set(copy(key, done, bytesOf), copy(item, done, bytesOf))
    return map
  }
  if (value instanceof Set) {
    const set = remember(new Set<unknown>())
    for (const item of value) set.add(copy(item, done, bytesOf))
    return set
  }
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    if (value instanceof ArrayBuffer) return remember(value.slice(0))
    if (value instanceof URL) return remember(new URL(value))
    if (value instanceof URLSearchParams) return remember(new URLSearchParams(value))
    return remember(structuredClone(value))
  }
  const record = remember(Object.create(prototype) as Record<string, unknown>)
  for (const name in value) record[name] = copy((value as Record<string, unknown>)[name], done, bytesOf)
  return record

  function remember<C>(clone: C): C {
    done.set(value as object, clone)
    return clone
  }
}

/** A view of the same kind, with the same bytes, on a buffer that holds nothing else. */
function copyView(view: ArrayBufferView): ArrayBufferView {
  const own = new Uint8Array(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
  const kind = Object.prototype.toString.call(view).slice(8, -1)
  const Kind = Reflect.get(globalThis, kind) as new (buffer: ArrayBuffer) => ArrayBufferView
  return new Kind(own.buffer)
}

/** A copy outside the pool of small Buffers. */
export function copyBuffer(buffer: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(buffer.length)
  buffer.copy(copy)
  return copy
}
