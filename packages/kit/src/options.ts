import { durationMs } from './durations.js'
import { misuse } from './errors.js'
import { sizeBytes } from './sizes.js'

/**
 * Options are described once, as one check per name, and resolved once, when an object is made:
 *
 * ```ts
 * const resolve = defineOptions('limiter', 'RateLimiter', { capacity: number({ min: 0 }), per: duration() }, DEFAULTS)
 * const { capacity, per } = resolve(options) // frozen; durations are milliseconds, sizes are bytes
 * ```
 */

/** The option that a value was given for, for messages: `RateLimiter option "capacity"`. */
export interface Place {
  readonly owner: string
  readonly name: string
  readonly code: string
}

/** Turns what the user gave (never `undefined` unless the check says so) into what the package works with. */
export interface Check<T> {
  (value: unknown, place: Place): T
  /** Accepts a missing value. */
  readonly optional?: true
}

export type Checks = Readonly<Record<string, Check<unknown>>>
export type Resolved<C extends Checks> = {
  readonly [Name in keyof C]: C[Name] extends Check<infer T> ? T : never
}

/**
 * A resolver for one options object. It refuses unknown names (suggesting the nearest known one), fills in
 * the defaults, runs each check and returns a frozen object. The caller's object is never changed.
 *
 * @param pkg the package, as in the code of its errors: `'limiter'` gives `ERR_LIMITER_OPTION`
 * @param owner what the options belong to, as the user knows it: `'RateLimiter'`, `'getOrSet'`
 * @throws TypeError | RangeError (the resolver) naming the option and what is allowed
 */
export function defineOptions<C extends Checks>(
  pkg: string,
  owner: string,
  checks: C,
  defaults: { readonly [Name in keyof C]?: unknown } = {},
): (given?: object) => Resolved<C> {
  const code = `ERR_${pkg.toUpperCase()}_OPTION`
  const names = Object.keys(checks)
  return (given = {}) => {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw misuse(TypeError, code, `${owner} options must be an object, not ${show(given)}`)
    }
    for (const name of Object.keys(given)) {
      if (!Object.hasOwn(checks, name)) {
        throw misuse(TypeError, code, `${owner} has no option "${name}"${suggestion(name, names)}`)
      }
    }
    const resolved: Record<string, unknown> = {}
    for (const name of names) {
      const check = checks[name]!
      const own = (given as Record<string, unknown>)[name]
      const value = own === undefined ? defaults[name] : own
      if (value === undefined && check.optional) continue
      resolved[name] = check(value, { owner, name, code })
    }
    return Object.freeze(resolved) as Resolved<C>
  }
}

/** Refuses a value: `RateLimiter option "capacity" must be a number >= 0, not -1`. */
export function refuse(
  errorClass: new (message: string) => Error,
  place: Place,
  allowed: string,
  value: unknown,
): never {
  throw misuse(
    errorClass,
    place.code,
    `${place.owner} option "${place.name}" must be ${allowed}, not ${show(value)}`,
  )
}

export interface NumberRange {
  readonly min?: number
  readonly max?: number
}

export function number({ min = -Infinity, max = Infinity }: NumberRange = {}): Check<number> {
  return ranged('a number', min, max, (value) => Number.isFinite(value))
}

export function integer({ min = -Infinity, max = Infinity }: NumberRange = {}): Check<number> {
  return ranged('an integer', min, max, (value) => Number.isSafeInteger(value))
}

function ranged(noun: string, min: number, max: number, fits: (value: number) => boolean): Check<number> {
  const allowed = `${noun}${between(min, max)}`
  return (value, place) => {
    if (typeof value !== 'number' || Number.isNaN(value)) refuse(TypeError, place, allowed, value)
    if (!fits(value) || value < min || value > max) refuse(RangeError, place, allowed, value)
    return value
  }
}

/** Milliseconds. Bounds are milliseconds too. */
export function duration({ min = 0, max = Infinity }: NumberRange = {}): Check<number> {
  const allowed = `a duration (milliseconds, or a string like '250ms', '30s', '15m', '1h', '7d')${between(min, max, ' ms')}`
  return (value, place) => {
    if (typeof value !== 'number' && typeof value !== 'string') refuse(TypeError, place, allowed, value)
    const milliseconds = durationMs(value)
    if (milliseconds === undefined)
      refuse(typeof value === 'number' ? RangeError : TypeError, place, allowed, value)
    if (milliseconds < min || milliseconds > max) refuse(RangeError, place, allowed, value)
    return milliseconds
  }
}

/** Bytes. Bounds are bytes too. */
export function size({ min = 0, max = Infinity }: NumberRange = {}): Check<number> {
  const allowed = `a size (bytes, or a string like '512kb', '64mb', '2gb')${between(min, max, ' bytes')}`
  return (value, place) => {
    if (typeof value !== 'number' && typeof value !== 'string') refuse(TypeError, place, allowed, value)
    const bytes = sizeBytes(value)
    if (bytes === undefined) refuse(typeof value === 'number' ? RangeError : TypeError, place, allowed, value)
    if (bytes < min || bytes > max) refuse(RangeError, place, allowed, value)
    return bytes
  }
}

export const boolean: Check<boolean> = (value, place) => {
  if (typeof value !== 'boolean') refuse(TypeError, place, 'true or false', value)
  return value
}

export function string({ pattern, like }: { pattern?: RegExp; like?: string } = {}): Check<string> {
  return (value, place) => {
    if (typeof value !== 'string' || value === '') refuse(TypeError, place, 'a non-empty string', value)
    if (pattern && !pattern.test(value))
      refuse(RangeError, place, like ?? `a string matching ${pattern}`, value)
    return value
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a function option is typed by the package's own interface
export function func<F extends (...args: any[]) => unknown>(): Check<F> {
  return (value, place) => {
    if (typeof value !== 'function') refuse(TypeError, place, 'a function', value)
    return value as F
  }
}

/** One of a few literal values. Values of different types need the type spelt out: `oneOf<'auto' | false>('auto', false)`. */
export function oneOf<const T extends string | number | boolean>(...values: readonly T[]): Check<T> {
  const allowed = values.map(show).join(' or ')
  return (value, place) => {
    if (!(values as readonly unknown[]).includes(value)) refuse(TypeError, place, allowed, value)
    return value as T
  }
}

/** An object (a client, a store) that has these methods. Typed by the package's own interface. */
export function having<T extends object>(what: string, ...methods: readonly string[]): Check<T> {
  return (value, place) => {
    const candidate = value as Record<string, unknown> | null | undefined
    const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
    const missing = isObject && methods.find((method) => typeof candidate?.[method] !== 'function')
    if (!isObject || missing) {
      refuse(
        TypeError,
        place,
        methods.length === 0 ? what : `${what} with ${methods.map((m) => `${m}()`).join(', ')}`,
        value,
      )
    }
    return value as T
  }
}

/** Every item passes the check. */
export function list<T>(check: Check<T>, { min = 0 }: { min?: number } = {}): Check<readonly T[]> {
  return (value, place) => {
    if (!Array.isArray(value)) refuse(TypeError, place, 'an array', value)
    if (value.length < min) refuse(RangeError, place, `an array of at least ${min}`, value)
    return Object.freeze(value.map((item, i) => check(item, { ...place, name: `${place.name}[${i}]` })))
  }
}

/** A nested options object; its names and defaults are checked in the same way. */
export function nested<C extends Checks>(
  checks: C,
  defaults: { readonly [Name in keyof C]?: unknown } = {},
): Check<Resolved<C>> {
  return (value, place) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      refuse(TypeError, place, 'an object', value)
    }
    const pkg = place.code.slice('ERR_'.length, -'_OPTION'.length)
    return defineOptions(pkg, `${place.owner} option "${place.name}"`, checks, defaults)(value)
  }
}

/** Anything; for values that another library judges. */
export const anything: Check<unknown> = (value) => value

/** The option may be left out. */
export function optional<T>(check: Check<T>): Check<T | undefined> {
  const lenient = (value: unknown, place: Place): T | undefined =>
    value === undefined ? undefined : check(value, place)
  return Object.assign(lenient, { optional: true as const })
}

/** `false` switches the feature off; anything else must pass the check. */
export function orFalse<T>(check: Check<T>): Check<T | false> {
  return either(oneOf(false), check)
}

/**
 * The first check that accepts the value wins. When neither does, the error says what both allow; but when one of them
 * accepts the value's kind and refuses what is in it (an option of an object, an item of an array), its error stands.
 */
export function either<A, B>(first: Check<A>, second: Check<B>): Check<A | B> {
  return (value, place) => {
    try {
      return first(value, place)
    } catch (firstError) {
      try {
        return second(value, place)
      } catch (secondError) {
        const allowed = [allowedAt(place, firstError), allowedAt(place, secondError)]
        if (allowed[1] === undefined) throw secondError
        if (allowed[0] === undefined) throw firstError
        refuse(secondError instanceof RangeError ? RangeError : TypeError, place, allowed.join(' or '), value)
      }
    }
  }
}

/** What an error says is allowed at this place; `undefined` when it is about something within. */
function allowedAt({ owner, name }: Place, error: unknown): string | undefined {
  const { message } = error as Error
  const head = `${owner} option "${name}" must be `
  return message.startsWith(head) ? message.slice(head.length, message.lastIndexOf(', not ')) : undefined
}

function between(min: number, max: number, unit = ''): string {
  if (min === -Infinity && max === Infinity) return ''
  if (max === Infinity) return ` >= ${min}${unit}`
  if (min === -Infinity) return ` <= ${max}${unit}`
  return ` from ${min} to ${max}${unit}`
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 60 ? `${value.slice(0, 57)}...` : value}'`
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  return String(value)
}

function suggestion(name: string, known: readonly string[]): string {
  let nearest = ''
  let least = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < least) {
      least = distance
      nearest = candidate
    }
  }
  return nearest === '' ? `; it has ${known.join(', ')}` : `; did you mean "${nearest}"?`
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substitution, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
