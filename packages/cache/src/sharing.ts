/** Freezes plain data all the way down. Objects that are frozen already are taken to be frozen below, too. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const name in value) deepFreeze(value[name])
  }
  return value
}

/** The same for data that were made just now, of which nothing is frozen yet. */
export function freezeNew<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) for (let i = 0; i < value.length; i++) freezeNew(value[i])
  else for (const name in value) freezeNew(value[name])
  return Object.freeze(value)
}

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

/** A copy that shares nothing with the original. Keeps Buffers Buffers, which `structuredClone` does not. */
export function deepClone<T>(value: T): T {
  return copy(value, new Map()) as T
}

function copy(value: unknown, done: Map<object, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value
  const known = done.get(value)
  if (known !== undefined) return known
  if (Buffer.isBuffer(value)) return remember(Buffer.from(value))
  if (Array.isArray(value)) {
    const list = remember(new Array<unknown>(value.length))
    for (const index in value) list[index] = copy(value[index], done)
    return list
  }
  if (value instanceof Map) {
    const map = remember(new Map<unknown, unknown>())
    for (const [key, item] of value) map.set(copy(key, done), copy(item, done))
    return map
  }
  if (value instanceof Set) {
    const set = remember(new Set<unknown>())
    for (const item of value) set.add(copy(item, done))
    return set
  }
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    if (value instanceof URL) return remember(new URL(value))
    if (value instanceof URLSearchParams) return remember(new URLSearchParams(value))
    return remember(structuredClone(value))
  }
  const record = remember(Object.create(prototype) as Record<string, unknown>)
  for (const name in value) record[name] = copy((value as Record<string, unknown>)[name], done)
  return record

  function remember<C>(clone: C): C {
    done.set(value as object, clone)
    return clone
  }
}
