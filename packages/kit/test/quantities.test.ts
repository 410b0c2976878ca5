import fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { type Duration, durationMs, type Size, sizeBytes } from '../src/index.js'

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const SIZES = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const

const notANumber = fc.anything().filter((value) => typeof value !== 'number' && typeof value !== 'string')

describe('durations', () => {
  it('every whole number with a unit is that many of it', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.constantFrom(...Object.keys(UNITS)), (count, unit) => {
        expect(durationMs(`${count}${unit}`)).toBe(count * UNITS[unit as keyof typeof UNITS])
      }),
    )
  })

  it('fractions are fractions of the unit', () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.integer({ min: 0, max: 99 }), (whole, hundredths) => {
        const text = `${whole}.${String(hundredths).padStart(2, '0')}`
        expect(durationMs(`${text}s`)).toBeCloseTo(whole * 1_000 + hundredths * 10, 6)
      }),
    )
  })

  it('numbers are milliseconds, unless negative or infinite', () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        expect(durationMs(value)).toBe(Number.isFinite(value) && value >= 0 ? value : undefined)
      }),
      { examples: [[0], [Number.NaN], [Number.POSITIVE_INFINITY], [-1]] },
    )
  })

  it('any other text is refused', () => {
    const grammar = /^\d+(\.\d+)?(ms|s|m|h|d)$/
    fc.assert(
      fc.property(
        fc.string().filter((text) => !grammar.test(text)),
        (text) => {
          expect(durationMs(text)).toBeUndefined()
        },
      ),
    )
    for (const text of [
      '',
      ' 1s',
      '1s ',
      '1 s',
      '1S',
      '1sec',
      '-1s',
      '+1s',
      '1e3ms',
      '.5s',
      '1.s',
      '1',
      '1s1s',
      '1s\n',
    ])
      expect(durationMs(text), JSON.stringify(text)).toBeUndefined()
    expect(durationMs(`${'9'.repeat(400)}d`), 'more than a number holds').toBeUndefined()
  })

  it('anything else is refused', () => {
    fc.assert(fc.property(notANumber, (value) => durationMs(value) === undefined))
  })

  it('are typed', () => {
    expectTypeOf<'30s'>().toExtend<Duration>()
    expectTypeOf<'1.5h'>().toExtend<Duration>()
    expectTypeOf<250>().toExtend<Duration>()
    expectTypeOf<'30 seconds'>().not.toExtend<Duration>()
    expectTypeOf<'fast'>().not.toExtend<Duration>()
  })
})

describe('sizes', () => {
  it('every whole number with a unit is that many of it, in upper case too', () => {
    fc.assert(
      fc.property(
        fc.nat(1_000_000),
        fc.constantFrom(...Object.keys(SIZES)),
        fc.boolean(),
        (count, unit, upper) => {
          const bytes = count * SIZES[unit as keyof typeof SIZES]
          expect(sizeBytes(`${count}${upper ? unit.toUpperCase() : unit}`)).toBe(bytes)
        },
      ),
    )
  })

  it('are whole bytes', () => {
    expect(sizeBytes('1.5kb')).toBe(1536)
    expect(sizeBytes('0.3b')).toBe(0)
    fc.assert(
      fc.property(fc.double(), (value) => {
        const bytes = sizeBytes(value)
        expect(bytes).toBe(Number.isFinite(value) && value >= 0 ? Math.floor(value) : undefined)
      }),
      { examples: [[0], [Number.NaN], [Number.POSITIVE_INFINITY], [-1]] },
    )
  })

  it('any other text is refused', () => {
    const grammar = /^\d+(\.\d+)?(b|kb|mb|gb)$/i
    fc.assert(
      fc.property(
        fc.string().filter((text) => !grammar.test(text)),
        (text) => {
          expect(sizeBytes(text)).toBeUndefined()
        },
      ),
    )
    for (const text of ['', '64', '64 mb', '64m', '-1mb', '1tb', '1e3b', '64mib', '1mb\n'])
      expect(sizeBytes(text), JSON.stringify(text)).toBeUndefined()
    expect(sizeBytes(`${'9'.repeat(400)}gb`)).toBeUndefined()
  })

  it('anything else is refused', () => {
    fc.assert(fc.property(notANumber, (value) => sizeBytes(value) === undefined))
  })

  it('are typed', () => {
    expectTypeOf<'64mb'>().toExtend<Size>()
    expectTypeOf<'big'>().not.toExtend<Size>()
  })
})
