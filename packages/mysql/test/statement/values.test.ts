import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scan } from '../../src/statement/scanner.js'
import { format, prepare } from '../../src/statement/values.js'

describe('values', () => {
  const text = (sql: string, values: unknown[]) => format(sql, scan(sql), values, 'Z', 'escaped')

  it('S6 no string value can leave its quotes', () => {
    const unit = fc.constantFrom("'", '\\', '"', '`', '\0', '\n', '\x1a', 'a', 'é', '?')
    fc.assert(
      fc.property(fc.string({ unit }), (value) => {
        for (const how of ['escaped', 'plain', 'neutral', 'hex'] as const) {
          const sql = format('SELECT ?', scan('SELECT ?'), [value], 'Z', how)
          // In each mode it is one literal: the server, too, reads it so.
          for (const plain of how === 'plain' ? [true] : how === 'escaped' ? [false] : [false, true]) {
            const { bare, pieces } = scan(sql, plain)
            expect(bare).toBe(sql.includes('_utf8mb4 X') ? 'SELECT _UTF8MB4 X?' : 'SELECT ?')
            expect(pieces).toEqual([sql])
          }
          // A mistake about the mode would change the value, and not its end.
          if (how === 'escaped') expect(scan(sql, true).bare).toBe('SELECT ?')
        }
      }),
    )
  })

  it('writes lists, rows, names and bytes', () => {
    expect(text('SELECT ?? FROM ?? WHERE a IN (?)', ['b`c', 'd.e', [1, 'x', null]])).toBe(
      "SELECT `b``c` FROM `d`.`e` WHERE a IN (1, 'x', NULL)",
    )
    expect(
      text('INSERT INTO t VALUES ?', [
        [
          [1, true],
          [2, false],
        ],
      ]),
    ).toBe('INSERT INTO t VALUES (1, true), (2, false)')
    expect(text('SELECT ?', [new Uint8Array([0, 255])])).toBe("SELECT X'00ff'")
    expect(text('SELECT ?', [2n ** 63n])).toBe('SELECT 9223372036854775808')
  })

  it('pads lists to powers of two, with the last value', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1, maxLength: 70 }), (list) => {
        const sql = 'SELECT 1 FROM t WHERE a IN (?) AND b = ?'
        const { sql: prepared, values } = prepare(sql, scan(sql), [list, 'b'])
        const count = values!.length - 1
        expect(Number.isInteger(Math.log2(count))).toBe(true)
        expect(count).toBeLessThan(list.length * 2)
        expect(values!.slice(0, list.length)).toEqual(list)
        expect(new Set(values!.slice(0, count))).toEqual(new Set(list))
        expect(prepared.match(/\?/g)).toHaveLength(count + 1)
      }),
    )
  })
})
