import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Position } from '../../src/topology/position.js'

describe('Position', () => {
  const gtids = fc.dictionary(fc.constantFrom('0', '1', '7'), fc.integer({ min: 1, max: 50 })).map(
    (all) =>
      Position.parse(
        Object.entries(all)
          .map(([domain, n]) => `${domain}-1-${n}`)
          .join(','),
      )!,
  )

  it('merges to the least position that covers both', () => {
    fc.assert(
      fc.property(gtids, gtids, gtids, (a, b, c) => {
        const both = a.merge(b)
        expect(both.covers(a) && both.covers(b)).toBe(true)
        if (c.covers(a) && c.covers(b)) expect(c.covers(both)).toBe(true)
        expect(Position.parse(both.toString())!.covers(both)).toBe(true)
      }),
    )
  })

  it('takes a set with a gap for no more than what is before the gap', () => {
    const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
    const other = 'a0b1c2d3-71ca-11e1-9e33-c80aa9429562'
    const had = Position.had(`${uuid}:1-5:11-18,\n${other}:3-9`)!
    const token = (text: string) => Position.parse(text)!
    expect(had.covers(token(`${uuid}:5`))).toBe(true)
    expect(had.covers(token(`${uuid}:12`))).toBe(false)
    expect(had.covers(token(`${other}:4`))).toBe(false)
    expect(Position.had(`${uuid}:1-18`)!.covers(token(`${uuid}:12`))).toBe(true)
    expect(Position.had(`${uuid}:1`)!.covers(token(`${uuid}:1`))).toBe(true)
    // A token of MySQL 8.3's tags is not understood, and leads to the primary.
    expect(Position.parse(`${uuid}:tag:7`)).toBeUndefined()
  })

  it('reads the sets of MySQL, and nothing that could be SQL', () => {
    const uuid = '3E11FA47-71CA-11E1-9E33-C80AA9429562'
    const position = Position.parse(`${uuid}:1-5:11-18`)!
    expect(position.waitStatement(50)).toBe(
      `SELECT WAIT_FOR_EXECUTED_GTID_SET('${uuid.toLowerCase()}:1-18', 0.05) AS state`,
    )
    expect(Position.parse('0-1-42')!.waitStatement(50)).toBe(
      "SELECT MASTER_GTID_WAIT('0-1-42', 0.05) AS state",
    )
    for (const text of ["0-1-1') OR SLEEP(9) -- ", '0-1', 'x', '0-1-42;', `${uuid}:`, '0-1-1,x'])
      expect(Position.parse(text), text).toBeUndefined()
    expect(Position.parse('')!.empty).toBe(true)
  })
})
