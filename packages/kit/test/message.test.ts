import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AnyMessage,
  count,
  excerpt,
  flag,
  listOf,
  maybe,
  messages,
  number,
  objectOf,
  oneOf,
  text,
} from '../src/message.js'

const TYPES = {
  hello: { version: count(9) },
  ask: {
    id: count(),
    keys: listOf(text(5), 2),
    latest: number(0),
    note: maybe(excerpt(3)),
    urgent: maybe(flag()),
    mode: maybe(oneOf('a', 'b')),
    inner: maybe(objectOf({ n: number() })),
  },
} as const
const parse = messages('limiter', TYPES)
const ask = { spillway: 'limiter', type: 'ask', id: 1, keys: ['a', 'b'], latest: 2 }

describe('S8 a message between processes', () => {
  it('is copied field by field: fields that nobody declared are left out', () => {
    const message: AnyMessage<'limiter', typeof TYPES> | undefined = parse({ ...ask, extra: 1, note: 'long' })
    expect(message).toEqual({ ...ask, note: 'lon' })
    expect(parse({ spillway: 'limiter', type: 'hello', version: 2 })).toEqual({
      spillway: 'limiter',
      type: 'hello',
      version: 2,
    })
  })

  it.each([
    ['another package', { ...ask, spillway: 'cache' }],
    ['an unknown type', { ...ask, type: 'nothing' }],
    ['a type from the prototype', { ...ask, type: 'constructor' }],
    ['a type that is no string', { ...ask, type: ['ask'] }],
    ['a missing field', { spillway: 'limiter', type: 'ask', id: 1, keys: [] }],
    ['a list that is none', { ...ask, keys: { length: 1, 0: 'a' } }],
    ['a list too long', { ...ask, keys: ['a', 'b', 'c'] }],
    ['a text too long', { ...ask, keys: ['abcdef'] }],
    ['an item of another type', { ...ask, keys: [1] }],
    ['a count below 0', { ...ask, id: -1 }],
    ['a count with a fraction', { ...ask, id: 1.5 }],
    ['a number that is none', { ...ask, latest: Number.NaN }],
    ['a number without end', { ...ask, latest: Number.POSITIVE_INFINITY }],
    ['a number out of range', { ...ask, latest: -1 }],
    ['a flag that is none', { ...ask, urgent: 1 }],
    ['a value that is not allowed', { ...ask, mode: 'c' }],
    ['an object that is none', { ...ask, inner: null }],
    ['an object with a bad field', { ...ask, inner: { n: '1' } }],
  ])('is refused: %s', (_title, raw) => {
    expect(parse(raw)).toBeUndefined()
  })

  it('never makes the parser throw, and what it accepts has the declared fields only', () => {
    const arbitrary = fc.record(
      {
        spillway: fc.oneof(fc.constant('limiter'), fc.anything()),
        type: fc.oneof(fc.constantFrom('ask', 'hello', '__proto__'), fc.anything()),
        id: fc.anything(),
        keys: fc.anything(),
        latest: fc.anything(),
        version: fc.anything(),
        inner: fc.anything(),
      },
      { requiredKeys: [] },
    )
    const allowed = new Set(['spillway', 'type', 'version', ...Object.keys(TYPES.ask)])
    fc.assert(
      fc.property(fc.oneof(arbitrary, fc.anything()), (raw) => {
        const message = parse(raw)
        for (const name of Object.keys(message ?? {})) expect(allowed).toContain(name)
      }),
      { numRuns: 2_000 },
    )
  })
})
