import fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  anything,
  boolean,
  type Check,
  defineOptions,
  duration,
  either,
  func,
  having,
  integer,
  list,
  nested,
  number,
  oneOf,
  optional,
  orFalse,
  size,
  string,
} from '../src/index.js'

const DEFAULTS = Object.freeze({ capacity: 10, per: '1s' })

const resolve = defineOptions(
  'limiter',
  'RateLimiter',
  {
    capacity: integer({ min: 1, max: 100 }),
    per: duration({ min: 1 }),
    key: optional(func<(request: object) => string>()),
  },
  DEFAULTS,
)

/** What a check makes of one value, as an option named `it`. */
function checked<T>(check: Check<T>, value: unknown): T {
  return defineOptions('kit', 'Thing', { it: check })({ it: value }).it as T
}

function refused(check: Check<unknown>, value: unknown): Error & { code: string } {
  try {
    checked(check, value)
  } catch (error) {
    return error as Error & { code: string }
  }
  throw new Error('was not refused')
}

describe('defineOptions', () => {
  it('fills in defaults and gives milliseconds', () => {
    expect(resolve()).toEqual({ capacity: 10, per: 1_000 })
    expect(resolve({ capacity: 5, per: '2m' })).toEqual({ capacity: 5, per: 120_000 })
  })

  it('takes undefined for not given', () => {
    expect(resolve({ capacity: undefined, key: undefined })).toEqual({ capacity: 10, per: 1_000 })
  })

  it('does not take null for not given', () => {
    expect(() => resolve({ capacity: null })).toThrow('must be an integer from 1 to 100, not null')
  })

  it('gives a frozen object, and leaves the caller and the defaults alone', () => {
    const given = Object.freeze({ capacity: 5 })
    const options = resolve(given)
    expect(Object.isFrozen(options)).toBe(true)
    expect(options).not.toBe(given)
    expect(DEFAULTS).toEqual({ capacity: 10, per: '1s' })
    expect(() => Object.assign(options, { capacity: 1 })).toThrow(TypeError)
  })

  it('refuses an unknown name and suggests the nearest known one', () => {
    const unknown = (name: string) => () => resolve({ [name]: 1 })
    expect(unknown('capcity')).toThrow('RateLimiter has no option "capcity"; did you mean "capacity"?')
    expect(unknown('CAPACITY')).toThrow('did you mean "capacity"?')
    expect(unknown('pre')).toThrow('did you mean "per"?')
    expect(unknown('timeoutOfEverything')).toThrow('it has capacity, per, key')
    expect(unknown('toString')).toThrow(TypeError)
    expect(unknown('constructor')).toThrow(TypeError)
    expect(() => resolve(JSON.parse('{"__proto__": 1}'))).toThrow(TypeError)
  })

  it('a name one letter off is always found', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 7 }), fc.constantFrom('x', 'q', '9'), (at, letter) => {
        const typo = `capacity`.slice(0, at) + letter + `capacity`.slice(at + 1)
        expect(() => resolve({ [typo]: 1 })).toThrow('did you mean "capacity"?')
      }),
    )
  })

  it('refuses what is no options object', () => {
    for (const given of [null, 5, 'text', [], true] as never[])
      expect(() => resolve(given)).toThrow(/^RateLimiter options must be an object, not /)
    expect(() => resolve(null as never)).toThrow(expect.objectContaining({ code: 'ERR_LIMITER_OPTION' }))
  })

  it('names the owner, the option, what is allowed and what was given', () => {
    expect(() => resolve({ capacity: 0 })).toThrow(
      'RateLimiter option "capacity" must be an integer from 1 to 100, not 0',
    )
    expect(() => resolve({ capacity: 0 })).toThrow(RangeError)
    expect(() => resolve({ capacity: '5' })).toThrow(TypeError)
    expect(() => resolve({ capacity: '5' })).toThrow("not '5'")
  })

  it('refuses a missing option that has no default', () => {
    expect(() => defineOptions('kit', 'Thing', { needed: number() })()).toThrow(
      'Thing option "needed" must be a number, not undefined',
    )
  })

  it('checks the defaults as well', () => {
    expect(() => defineOptions('kit', 'Thing', { n: number() }, { n: 'bad' })()).toThrow(TypeError)
  })

  it('is typed by its checks', () => {
    const options = defineOptions('kit', 'Thing', {
      a: number(),
      b: orFalse(duration()),
      c: oneOf('x', 'y'),
      d: optional(string()),
    })({ a: 1, b: false, c: 'x' })
    expectTypeOf(options.a).toEqualTypeOf<number>()
    expectTypeOf(options.b).toEqualTypeOf<number | false>()
    expectTypeOf(options.c).toEqualTypeOf<'x' | 'y'>()
    expectTypeOf(options.d).toEqualTypeOf<string | undefined>()
  })
})

describe('checks', () => {
  it('number and integer: ranges are inclusive, NaN and infinities are not numbers', () => {
    expect(checked(number({ min: 0, max: 1 }), 0)).toBe(0)
    expect(checked(number({ min: 0, max: 1 }), 1)).toBe(1)
    expect(refused(number(), Number.NaN)).toBeInstanceOf(TypeError)
    expect(refused(number(), Number.POSITIVE_INFINITY)).toBeInstanceOf(RangeError)
    expect(refused(integer(), 1.5).message).toBe('Thing option "it" must be an integer, not 1.5')
    expect(refused(integer(), 2 ** 53)).toBeInstanceOf(RangeError)
    expect(refused(number({ max: 5 }), 6).message).toContain('a number <= 5')
    fc.assert(
      fc.property(fc.integer(), fc.integer(), fc.integer(), (a, b, value) => {
        const [min, max] = a < b ? [a, b] : [b, a]
        if (value >= min && value <= max) expect(checked(integer({ min, max }), value)).toBe(value)
        else expect(refused(integer({ min, max }), value)).toBeInstanceOf(RangeError)
      }),
    )
  })

  it('duration and size: parsed, with bounds in milliseconds and bytes', () => {
    expect(checked(duration(), '1.5s')).toBe(1_500)
    expect(checked(size(), '2kb')).toBe(2_048)
    expect(refused(duration({ min: 10 }), '5ms').message).toContain('>= 10 ms')
    expect(refused(duration(), '5 minutes')).toBeInstanceOf(TypeError)
    expect(refused(duration(), -1)).toBeInstanceOf(RangeError)
    expect(refused(duration(), true)).toBeInstanceOf(TypeError)
    expect(refused(size({ max: 1_024 }), '1mb')).toBeInstanceOf(RangeError)
    expect(refused(size(), '64m')).toBeInstanceOf(TypeError)
    expect(refused(size(), -1)).toBeInstanceOf(RangeError)
    expect(refused(size(), [])).toBeInstanceOf(TypeError)
  })

  it('boolean, string, function, anything', () => {
    expect(checked(boolean, false)).toBe(false)
    expect(refused(boolean, 0)).toBeInstanceOf(TypeError)
    expect(checked(string(), 'a')).toBe('a')
    expect(refused(string(), '').message).toContain("a non-empty string, not ''")
    expect(refused(string({ pattern: /^[a-z]+$/, like: 'small letters' }), 'A').message).toContain(
      'small letters',
    )
    expect(refused(string({ pattern: /^[a-z]+$/ }), 'A').message).toContain('/^[a-z]+$/')
    const f = () => 1
    expect(checked(func(), f)).toBe(f)
    expect(refused(func(), 'f')).toBeInstanceOf(TypeError)
    expect(checked(anything, Number.NaN)).toBeNaN()
  })

  it('oneOf: literals, with their difference of type', () => {
    const policy = oneOf<'allow' | 'deny' | false>('allow', 'deny', false)
    expect(checked(policy, false)).toBe(false)
    expect(refused(policy, 'no').message).toBe(
      `Thing option "it" must be 'allow' or 'deny' or false, not 'no'`,
    )
    expect(refused(oneOf(1), '1')).toBeInstanceOf(TypeError)
  })

  it('having: an object or a function with these methods', () => {
    const client = having<{ get(): void }>('a client', 'get')
    const own = { get() {} }
    expect(checked(client, own)).toBe(own)
    class Inherits {
      get() {}
    }
    expect(() => checked(client, new Inherits())).not.toThrow()
    expect(() =>
      checked(
        client,
        Object.assign(() => {}, { get() {} }),
      ),
    ).not.toThrow()
    expect(refused(client, {}).message).toBe('Thing option "it" must be a client with get(), not an object')
    expect(refused(client, null)).toBeInstanceOf(TypeError)
    expect(refused(having('a thing'), 5).message).toBe('Thing option "it" must be a thing, not 5')
  })

  it('list: every item is checked, and the result is frozen', () => {
    const items = checked(list(integer({ min: 0 })), [1, 2])
    expect(items).toEqual([1, 2])
    expect(Object.isFrozen(items)).toBe(true)
    expect(refused(list(integer({ min: 0 })), [1, -1]).message).toContain('option "it[1]" must be')
    expect(refused(list(integer(), { min: 1 }), []).message).toContain('an array of at least 1')
    expect(refused(list(integer()), 'ab')).toBeInstanceOf(TypeError)
  })

  it('nested: names, ranges and defaults, each with its place', () => {
    const lease = nested({ max: integer({ min: 1 }), idle: duration() }, { idle: '1s' })
    const value = checked(lease, { max: 5 })
    expect(value).toEqual({ max: 5, idle: 1_000 })
    expect(Object.isFrozen(value)).toBe(true)
    expect(refused(lease, { max: 0 }).message).toContain(
      'Thing option "it" option "max" must be an integer >= 1',
    )
    expect(refused(lease, { mx: 1 })).toMatchObject({
      code: 'ERR_KIT_OPTION',
      message: expect.stringContaining('did you mean "max"?'),
    })
    expect(refused(lease, 5).message).toBe('Thing option "it" must be an object, not 5')
  })

  it('orFalse: false, or what the check says', () => {
    expect(checked(orFalse(duration()), false)).toBe(false)
    expect(checked(orFalse(duration()), '1s')).toBe(1_000)
    expect(refused(orFalse(integer({ min: 1 })), 0)).toBeInstanceOf(RangeError)
    expect(refused(orFalse(integer({ min: 1 })), 0).message).toBe(
      'Thing option "it" must be false or an integer >= 1, not 0',
    )
    expect(refused(orFalse(duration()), true)).toBeInstanceOf(TypeError)
  })

  it('either: says what is wrong inside the alternative that was meant', () => {
    const lease = orFalse(nested({ max: integer({ min: 1 }) }))
    expect(refused(lease, { max: 0 })).toMatchObject({
      name: 'RangeError',
      message: 'Thing option "it" option "max" must be an integer >= 1, not 0',
    })
    expect(refused(lease, { mx: 1 }).message).toBe(
      'Thing option "it" has no option "mx"; did you mean "max"?',
    )
    expect(refused(lease, 'on').message).toBe(`Thing option "it" must be false or an object, not 'on'`)
    const policy = either(nested({ local: number({ max: 1 }) }), oneOf('allow', 'deny'))
    expect(refused(policy, { local: 2 }).message).toBe(
      'Thing option "it" option "local" must be a number <= 1, not 2',
    )
    const hosts = either(string(), list(string()))
    expect(refused(hosts, ['a', 5]).message).toBe('Thing option "it[1]" must be a non-empty string, not 5')
    expect(refused(hosts, 5).message).toBe('Thing option "it" must be a non-empty string or an array, not 5')
  })

  it('show no more of a value than a message can bear', () => {
    const { message } = refused(number(), 'x'.repeat(1_000))
    expect(message.length).toBeLessThan(150)
    expect(refused(number(), 5n).message).toContain('not 5n')
    expect(refused(number(), Symbol('s')).message).toContain('not Symbol(s)')
    expect(refused(number(), () => 1).message).toContain('not a function')
    expect(refused(number(), Object.create(null)).message).toContain('not an object')
  })
})
