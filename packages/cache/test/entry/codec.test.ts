import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { channels } from '../../src/channels.js'
import { decode, encode, inspectValue } from '../../src/entry/codec.js'
import { readFrame, writeFrame } from '../../src/entry/frame.js'
import { Cache, memoryStore } from '../../src/index.js'
import { heardOn } from '../channel-ear.js'
import { single } from '../load/waiting.js'

const scalar = fc.oneof(
  fc.constantFrom(null, undefined, true, false, '', 0, -0, Number.NaN, Number.POSITIVE_INFINITY),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\ud800', 'a\udfffb', '\u2028', '</script>', '__proto__'),
)

const bytes = fc.uint8Array({ maxLength: 40 })

/** Everything that a cache promises to keep. */
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    scalar,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      fc.string().filter((name) => name !== '__proto__' && name !== 'toJSON'),
      tie('value'),
      { maxKeys: 5, noNullPrototype: true },
    ),
    fc.date({ noInvalidDate: false }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => new Set(items)),
    bytes,
    bytes.map((list) => Buffer.from(list)),
    bytes.map((list) => list.buffer),
    fc.array(fc.double(), { maxLength: 5 }).map((list) => Float64Array.from(list)),
    fc
      .array(fc.bigInt({ min: 0n, max: 2n ** 63n }), { maxLength: 5 })
      .map((list) => BigUint64Array.from(list)),
    fc.constantFrom(/a+/gi, new URL('https://example.org/?a=1'), new URLSearchParams('a=1&a=2')),
  ),
}))

const NOW = 1_700_000_000_000
const TIMES = { created: NOW, freshUntil: NOW + 1, swrUntil: NOW + 2, staleUntil: NOW + 3, loadMs: 4 }
const MAX = 1 << 20

function framed(given: unknown, compressAbove: number | false = false): Buffer {
  const encoded = encode(given, inspectValue(given))
  return writeFrame(encoded, TIMES, ['all', '1', '#tag', '2'], compressAbove)
}

function opened(frame: Buffer): unknown {
  const { codec, payload } = readFrame(frame, MAX)
  return decode(codec, payload)
}

describe('a value', () => {
  it('V3 comes back as it was, whatever it is made of', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(false as const, 0), (given, compressAbove) => {
        expect(opened(framed(given, compressAbove))).toStrictEqual(given)
      }),
      { numRuns: 1_000 },
    )
  })

  it('is JSON exactly when JSON gives it back', () => {
    fc.assert(
      fc.property(value, (given) => {
        if (inspectValue(given).plain) expect(JSON.parse(JSON.stringify(given))).toStrictEqual(given)
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('bytes from elsewhere', () => {
  it('a frame that was cut is never taken for a value', () => {
    fc.assert(
      fc.property(value, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (given, share) => {
        const frame = framed(given)
        expect(() => readFrame(frame.subarray(0, Math.floor(frame.length * share)), MAX)).toThrow()
      }),
    )
  })

  it('whatever they are, reading them ends in a value or an error, and touches no prototype', () => {
    const change = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }))
    fc.assert(
      fc.property(value, fc.array(change, { minLength: 1, maxLength: 4 }), (given, changes) => {
        const frame = framed(given)
        for (const [at, bits] of changes) frame[at % frame.length]! ^= bits
        try {
          opened(frame)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
        expect(Object.keys(Object.prototype)).toEqual([])
      }),
      { numRuns: 1_000 },
    )
  })

  it.each([
    ['no entry', fc.uint8Array({ maxLength: 200 })],
    [
      'S9 an entry whose times are no numbers',
      fc
        .tuple(
          value,
          fc.constantFrom(12, 20, 28, 36),
          fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
        )
        .map(([given, offset, time]) => {
          const frame = framed(given)
          frame.writeDoubleLE(time, offset)
          return frame
        }),
    ],
    ['an entry that was cut', value.map((given) => framed(given).subarray(0, -1))],
  ])('%s is a miss, and an event', async (_what, arbitrary) => {
    const store = memoryStore()
    await using cache = new Cache({ name: 'foreign', l1: false, store })
    const tier = single(store.open('foreign'))
    await fc.assert(
      fc.asyncProperty(arbitrary, async (given) => {
        await tier.write('k', Buffer.from(given), 60_000, '')
        using heard = heardOn(channels.reject)
        expect(await cache.get('k')).toBe(undefined)
        expect(heard.messages).toEqual([{ cache: 'foreign', reason: 'corrupt', error: expect.any(Error) }])
        expect(await cache.getOrSet('k', () => 'loaded')).toBe('loaded')
        expect(await cache.get('k')).toBe('loaded')
      }),
    )
  })
})
