/**
 * Validation of messages between processes. A worker runs any code, so whatever arrives over an IPC channel is checked
 * field by field before it is used, and copied into a new object that holds the declared fields only.
 *
 * ```ts
 * const parse = messages('limiter', {
 *   hello: { version: count() },
 *   ask: { id: count(), keys: listOf(text(600), 4_096), latest: number() },
 * })
 * process.on('message', (raw) => {
 *   const message = parse(raw)
 *   if (message?.type === 'ask') answer(message.keys)
 * })
 * ```
 */

/** Reads one field: its value, checked and bounded, or {@link INVALID}. */
export type Field<T> = (value: unknown) => T | typeof INVALID

/** What a {@link Field} gives for a value that it does not accept. */
export const INVALID: unique symbol = Symbol('invalid')

export type Fields = Readonly<Record<string, Field<unknown>>>
type ValueOf<F> = F extends Field<infer T> ? T : never

/** A message of type `Type` with the fields `F`. */
export type MessageOf<Package extends string, Type, F extends Fields> = {
  readonly spillway: Package
  readonly type: Type
} & { readonly [Name in keyof F]: ValueOf<F[Name]> }

/** Any message of a package, by its table of types. */
export type AnyMessage<Package extends string, Types extends Readonly<Record<string, Fields>>> = {
  [Type in keyof Types]: MessageOf<Package, Type, Types[Type]>
}[keyof Types]

/**
 * A parser for the messages of one package: it returns the message with its declared fields, or `undefined` for
 * anything that is not such a message. It never throws, whatever arrives.
 */
export function messages<Package extends string, const Types extends Readonly<Record<string, Fields>>>(
  owner: Package,
  types: Types,
): (raw: unknown) => AnyMessage<Package, Types> | undefined {
  const table = new Map(Object.entries(types))
  return (raw) => {
    if (typeof raw !== 'object' || raw === null) return undefined
    const source = raw as Readonly<Record<string, unknown>>
    if (source.spillway !== owner || typeof source.type !== 'string') return undefined
    const fields = table.get(source.type)
    if (fields === undefined) return undefined
    const message: Record<string, unknown> = { spillway: owner, type: source.type }
    for (const name in fields) {
      const value = fields[name]!(source[name])
      if (value === INVALID) return undefined
      if (value !== undefined) message[name] = value
    }
    return message as AnyMessage<Package, Types>
  }
}

/** A finite number between `min` and `max`, both included. Default: any finite number. */
export function number(min = -Number.MAX_VALUE, max = Number.MAX_VALUE): Field<number> {
  return (value) =>
    typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max ? value : INVALID
}

/** A whole number from 0 to `max`. Default of `max`: the largest safe integer. */
export function count(max = Number.MAX_SAFE_INTEGER): Field<number> {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
      ? (value as number)
      : INVALID
}

/** A string of at most `max` UTF-16 code units; a longer one is refused, not cut. */
export function text(max: number): Field<string> {
  return (value) => (typeof value === 'string' && value.length <= max ? value : INVALID)
}

/** A string, cut after `max` UTF-16 code units: for text that people read. */
export function excerpt(max: number): Field<string> {
  return (value) => (typeof value === 'string' ? value.slice(0, max) : INVALID)
}

export function flag(): Field<boolean> {
  return (value) => (typeof value === 'boolean' ? value : INVALID)
}

/** One of the given values. */
export function oneOf<const T extends string | number>(...allowed: readonly T[]): Field<T> {
  return (value) => (allowed.includes(value as T) ? (value as T) : INVALID)
}

/** The field may be missing. */
export function maybe<T>(field: Field<T>): Field<T | undefined> {
  return (value) => (value === undefined ? undefined : field(value))
}

/** An array of at most `max` items. */
export function listOf<T>(item: Field<T>, max: number): Field<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value) || value.length > max) return INVALID
    const list: T[] = []
    for (const each of value) {
      const checked = item(each)
      if (checked === INVALID) return INVALID
      list.push(checked)
    }
    return list
  }
}

/** A plain object with these fields; other fields are left out. */
export function objectOf<const F extends Fields>(
  fields: F,
): Field<{ readonly [Name in keyof F]: ValueOf<F[Name]> }> {
  return (value) => {
    if (typeof value !== 'object' || value === null) return INVALID
    const source = value as Readonly<Record<string, unknown>>
    const result: Record<string, unknown> = {}
    for (const name in fields) {
      const checked = fields[name]!(source[name])
      if (checked === INVALID) return INVALID
      if (checked !== undefined) result[name] = checked
    }
    return result as { readonly [Name in keyof F]: ValueOf<F[Name]> }
  }
}
