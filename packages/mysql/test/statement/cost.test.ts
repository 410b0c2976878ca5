import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { SignedToken } from '../../src/http/signed-token.js'
import { scan } from '../../src/statement/scanner.js'
import { Statements } from '../../src/statement/statement.js'
import { format } from '../../src/statement/values.js'
import { Position } from '../../src/topology/position.js'

/** A text that counts the characters that are looked at. */
class Counted {
  work = 0
  constructor(readonly text: string) {}
  get length(): number {
    return this.text.length
  }
  charCodeAt(at: number): number {
    this.work++
    return this.text.charCodeAt(at)
  }
  slice(from: number, to?: number): string {
    const part = this.text.slice(from, to)
    this.work += part.length
    return part
  }
  indexOf(what: string, from: number): number {
    const found = this.text.indexOf(what, from)
    this.work += (found === -1 ? this.text.length : found) - from
    return found
  }
}

const workOf = (text: string, plain: boolean): number => {
  const counted = new Counted(text)
  scan(counted as unknown as string, plain)
  return counted.work
}

/** What a parser could read more than once. */
const PIECES = [
  'a',
  ' ',
  '\t\n ',
  "'",
  '"',
  '`',
  "'\\",
  "\\'",
  "'\\''",
  "''\\'",
  '\\',
  '/*',
  '/*!',
  '*/',
  '/* */',
  '--',
  '-- ',
  '#',
  '#\n',
  '?',
  '??',
  ';',
  '; ',
  '(',
  '( ?',
  'IN (?',
  'IN ( ',
  '(?, ?), ',
  'FOR ',
  'NEXT ',
  'INTO ',
  'INSERT ',
  'RETURNING',
  '0X',
  '9',
  '9.',
  '1E',
  ', ?',
]

describe('the cost of reading', () => {
  it('S4 a statement of double length takes at most 2.2 times the work, whatever it consists of', () => {
    for (const plain of [false, true]) {
      for (const head of ['', 'SELECT ', "SELECT '", 'INSERT ', '(']) {
        for (const piece of PIECES) {
          const once = workOf(head + piece.repeat(2_000), plain)
          const twice = workOf(head + piece.repeat(4_000), plain)
          expect(twice / once, `${JSON.stringify(piece)} after ${JSON.stringify(head)}`).toBeLessThanOrEqual(
            2.2,
          )
        }
      }
    }
  })

  it('S4 what the patterns for its kind and its fingerprint read grows no faster than the statement', () => {
    // No pattern repeats without a bound (see below), so that its work is a constant for each character that it is given.
    const statements = new Statements()
    for (const head of ['', 'SELECT ', 'SELECT * FROM t WHERE a IN (', 'INSERT INTO t VALUES ']) {
      for (const piece of PIECES) {
        const once = scan(head + piece.repeat(2_000)).bare.length
        const twice = scan(head + piece.repeat(4_000)).bare.length
        expect(twice, `${JSON.stringify(piece)} after ${JSON.stringify(head)}`).toBeLessThanOrEqual(
          2.2 * once + 8,
        )
        expect(statements.of(head + piece.repeat(4_000)).fingerprint.length).toBeLessThanOrEqual(500)
      }
    }
  })

  it('S4 what is known of it is the same however much white space and comment it has', () => {
    const statements = new Statements()
    const gap = ' \t\n/* x */'.repeat(20_000)
    for (const [sql, known] of [
      [`SELECT${gap}1${gap}FOR${gap}UPDATE`, { isRead: false }],
      [`(${gap}SELECT${gap}1)`, { isRead: true }],
      [`START${gap}TRANSACTION`, { control: 'begin' }],
      [`ROLLBACK${gap}TO${gap}x`, { control: undefined }],
      [`CREATE${gap}OR${gap}REPLACE${gap}TEMPORARY TABLE t (a INT)`, { control: undefined, dirties: true }],
      [`DELETE FROM t${gap}RETURNING${gap}a`, { returning: true, isRead: false }],
      [`SET${gap}SESSION${gap}autocommit = 0`, { control: 'commits' }],
      [`SELECT 1${gap}INTO${gap}@a`, { dirties: true, isRead: false }],
    ] as const) {
      expect(statements.of(sql), sql.slice(0, 40)).toMatchObject(known)
    }
  })

  it('S4 no pattern over what comes from outside repeats without a bound', () => {
    const folder = new URL('../../src/', import.meta.url)
    const files = readdirSync(folder, { recursive: true })
      .map(String)
      .filter((file) => file.endsWith('.ts'))
    expect(files).toContain('statement/scanner.ts')
    for (const file of files) {
      const source = readFileSync(new URL(file, folder), 'utf8')
        .replace(/\/\*[\s\S]*?\*\//g, '')
        .replace(/^\s*\/\/.*$/gm, '')
      for (const [pattern] of source.matchAll(
        /(?<=[=(,&|!:?]\s*)\/(?![/*])(?:\\.|\[(?:\\.|[^\]])*\]|[^/\n\\])+\/[a-z]*/g,
      )) {
        const repeats = pattern.replace(/\\./g, 'x').replace(/\[[^\]]*\]/g, 'x')
        // Of names and secrets in options, which the application gives.
        if (file === 'http/attach.ts') continue
        expect(repeats, `${file}: ${pattern}`).not.toMatch(/[^(]\+|\*|\{\d+,\}/)
      }
    }
  })

  it('S4 values are written in one go', () => {
    const made = (count: number) =>
      format('SELECT ?', scan('SELECT ?'), ["'\\".repeat(count)], 'Z', 'escaped').length
    expect(made(20_000) / made(10_000)).toBeLessThanOrEqual(2.2)
  })
})

describe('what a client carries', () => {
  const secret = 'a secret of some length'
  const signed = new SignedToken([secret])

  it('S4 a token that is too long is not looked at, even when it is ours', () => {
    expect(signed.open(signed.seal('0-1-42'))).toBe('0-1-42')
    expect(signed.open(signed.seal('x'.repeat(2_048)))).toBe('x'.repeat(2_048))
    expect(signed.open(signed.seal('x'.repeat(4_096)))).toBeUndefined()
    const body = Buffer.from('0-1-42').toString('base64url')
    const signature = createHmac('sha256', secret).update(`spillway-mysql:${body}`).digest().subarray(0, 16)
    for (const sealed of [
      `${body}.${signature.toString('base64url')}.`,
      `${body}..`,
      '.',
      '',
      `${'.'.repeat(1_000_000)}`,
    ]) {
      expect(signed.open(sealed)).toBeUndefined()
    }
  })

  it('S4 a position that is too long, or of no form, is unknown', () => {
    const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
    expect(String(Position.ofToken(`${uuid}:1-5:7`))).toBe(`${uuid}:7`)
    const many = Array.from({ length: 10_000 }, (_, i) => `${i}-1-1`).join(',')
    expect(Position.ofToken(many)).toBeUndefined()
    expect(Position.had(`${uuid}${':1'.repeat(2_000_000)}`)).toBeUndefined()
    for (const text of [
      `${uuid}`,
      `${uuid}:`,
      `${uuid}:1-`,
      `${uuid}:-1`,
      `${uuid}:1--2`,
      `${uuid}:x`,
      `:${uuid}`,
      '0-1',
      '0-1-2-3',
      'primary',
      '0-1-99999999999999999999999',
    ]) {
      expect(Position.ofToken(text), text).toBeUndefined()
    }
    // A server may have many gaps: each is read once.
    const gaps = Array.from({ length: 20_000 }, (_, i) => `:${2 * i + 1}`).join('')
    expect(String(Position.had(uuid + gaps))).toBe(`${uuid}:1`)
    expect(String(Position.parse(uuid + gaps))).toBe(`${uuid}:39999`)
  })
})
