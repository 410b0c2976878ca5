import { expect, it } from 'vitest'
import { indexHint } from '../../src/statement/explain.js'

it('a hint names the table that is read in full, and whether an index would fit', () => {
  const row = { table: 't', type: 'ALL', possible_keys: null, key: null, rows: 1_000, Extra: 'Using where' }
  expect(indexHint([row])).toBe('t is read in full, about 1000 rows: no index fits the condition')
  expect(indexHint([{ ...row, possible_keys: 'by_name' }])).toContain('chose none of by_name')
  expect(indexHint([{ ...row, type: 'ref', key: 'by_name' }])).toBeUndefined()
})
