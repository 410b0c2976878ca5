import { describe, expect, it } from 'vitest'
import { packageOf, rowsOf, target } from './files.js'
import * as rules from './rules.js'
import { exportedValues, importsOf } from './syntax.js'

/** A file that breaks every rule. The rules must see it, or they would not see it elsewhere. */
const WRONG = 'packages/kit/test/house/wrong.txt'

const at = (...lines: number[]) => lines.map((line) => `${WRONG}:${line}`)

describe('the house tests see', () => {
  it('every way to import, and whether it leaves anything at run time', () => {
    expect(importsOf(WRONG).map(({ specifier, typeOnly }) => [specifier, typeOnly])).toEqual([
      ['one', false],
      ['two', false], // `import { type Two }` stays as an import of the module
      ['three', true],
      ['./four.js', false],
      ['five', true],
      ['../six.js', false],
      ['eight', false],
      ['nine', false],
      ['ten', true],
    ])
    expect(importsOf(WRONG)[0]?.place).toBe(`${WRONG}:1`)
  })

  it('what a module exports at run time, through its re-exports', () => {
    expect(exportedValues('packages/kit/src/koa.ts')).toEqual(['applyVerdict', 'refuse'])
    expect(exportedValues('packages/kit/src/index.ts')).toEqual(
      expect.arrayContaining(['ADMIT', 'RejectedError', 'closeOnce', 'number']),
    )
    expect(exportedValues('packages/kit/src/index.ts')).not.toContain('Verdict')
  })

  it.each([
    ['casts', rules.casts, at(19, 20)],
    ['silenced', rules.silenced, at(18)],
    ['unfinished', rules.unfinished, at(22)],
    ['printing', rules.printing, at(23)],
    ['listeners', rules.listeners([]), at(24, 25)],
    ['listeners but one', rules.listeners(['message']), at(24)],
    ['tests that are not run', rules.unrun, at(27, 28)],
    ['assembled names', rules.assembled, at(30, 31)],
    ['a long file', rules.longerThan(31), [WRONG]],
    ['no long file', rules.longerThan(32), []],
  ])('%s', (_what, rule, places) => {
    expect(rule([WRONG])).toEqual(places)
  })

  it('packages and paths', () => {
    expect(packageOf('mysql2/promise')).toBe('mysql2')
    expect(packageOf('@spillway/kit/express')).toBe('@spillway/kit')
    expect(target('packages/kit/src/abort.ts', './clock.js')).toBe('packages/kit/src/clock.js')
    expect(target('packages/kit/src/abort.ts', '../../cache/src/index.js')).toBe(
      'packages/cache/src/index.js',
    )
  })

  it('the rows of a table', () => {
    expect(rowsOf('docs/reference/support.md')).toContainEqual(['fastify', '^5', '5.12.8'])
  })
})
