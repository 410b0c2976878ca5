import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scan } from '../../src/statement/scanner.js'

describe('scan', () => {
  it('finds placeholders only where they are some', () => {
    const { placeholders, pieces } = scan(
      "SELECT '?', \"?\", `?`, ? /* ? */ -- ?\n, ?? # ?\n WHERE a IN (?) AND b = 'it''s ?' AND c = '\\'?' AND d = ?",
    )
    expect(placeholders.map(({ name, inList }) => [name, inList])).toEqual([
      [false, false],
      [true, false],
      [false, true],
      [false, false],
    ])
    expect(pieces).toHaveLength(5)
  })

  it('takes any text apart without losing a character', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('?', "'", '"', '`', '\\', '-', ' ', '/', '*', '#', '\n', 'a', '(', ')', ';'),
        }),
        (sql) => {
          const { pieces, placeholders } = scan(sql)
          expect(pieces).toHaveLength(placeholders.length + 1)
          const again = pieces.reduce(
            (text, piece, i) => text + (placeholders[i - 1]!.name ? '??' : '?') + piece,
          )
          expect(again).toBe(sql)
        },
      ),
    )
  })
})
