import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Level, LevelHysteresis, levelFor, type Marks } from '../../src/level.js'

const MARKS: Marks = { elevated: [0.7, 0.8], critical: [0.85, 0.92] }
const ENTER = 500
const LEAVE = 3_000
const EVERY = 250

interface Change {
  readonly at: number
  readonly from: Level
  readonly to: Level
}

/** The changes of level that a series of values brings about, one value per sample. */
function changes(values: readonly number[]): Change[] {
  const hold = new LevelHysteresis({ enterAfter: ENTER, leaveAfter: LEAVE })
  return values.flatMap((value, i) => {
    const from = hold.level
    const to = hold.update(levelFor(value, MARKS, from), i * EVERY)
    return to === from ? [] : [{ at: i * EVERY, from, to }]
  })
}

const RANK: Readonly<Record<Level, number>> = { ok: 0, elevated: 1, critical: 2 }
const rises = ({ from, to }: Change) => RANK[to] > RANK[from]

const anything = fc.array(fc.double({ min: 0, max: 1.2, noNaN: true }), { minLength: 1, maxLength: 400 })

describe('no flapping, whatever the values', () => {
  it('a rise takes enterAfter, a fall takes leaveAfter, each since the change before it', () => {
    fc.assert(
      fc.property(anything, (values) => {
        let last = -EVERY
        for (const change of changes(values)) {
          expect(change.at - last).toBeGreaterThanOrEqual(rises(change) ? ENTER : LEAVE)
          last = change.at
        }
      }),
      { numRuns: 500 },
    )
  })

  it('values that stay between the two marks of a level change nothing', () => {
    const [leave, enter] = MARKS.elevated || [0, 0]
    const between = fc.double({ min: leave, max: enter, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.array(between, { maxLength: 200 }), (values) => {
        expect(changes(values)).toEqual([])
        const entered = [...new Array(4).fill(enter), ...values]
        expect(changes(entered).map(({ to }) => to)).toEqual(['elevated'])
      }),
    )
  })

  it('a level is never higher than the highest value of the time in which it was entered', () => {
    fc.assert(
      fc.property(anything, (values) => {
        for (const change of changes(values).filter(rises)) {
          const seen = values.slice(Math.max(0, change.at - ENTER) / EVERY, change.at / EVERY + 1)
          const mark = change.to === 'critical' ? MARKS.critical : MARKS.elevated
          expect(Math.min(...seen)).toBeGreaterThanOrEqual(mark === false ? 0 : mark[0])
        }
      }),
      { numRuns: 500 },
    )
  })

  it('it ends: after leaveAfter of low values every level is ok', () => {
    fc.assert(
      fc.property(anything, (values) => {
        const calm = new Array(2 * (LEAVE / EVERY + 1)).fill(0.1)
        expect([...changes([...values, ...calm]).map(({ to }) => to), 'ok'].at(-1)).toBe('ok')
        const hold = new LevelHysteresis({ enterAfter: ENTER, leaveAfter: LEAVE })
        for (const [i, value] of [...values, ...calm].entries()) {
          hold.update(levelFor(value, MARKS, hold.level), i * EVERY)
        }
        expect(hold.level).toBe('ok')
      }),
    )
  })
})
