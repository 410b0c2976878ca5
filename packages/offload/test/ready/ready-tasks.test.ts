import * as crypto from 'node:crypto'
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { Offloader } from '@spillway/offload'
import { readyTasks } from '@spillway/offload/tasks'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import type { TaskContext } from '../../src/index.js'
import { parseCsv as parseHere } from '../../src/ready/csv.js'
import { rejection } from '../support.js'

const offloader = new Offloader({ threads: 1 })
afterAll(() => offloader.close())
const { brotli, gunzip, gzip, hashPassword, parseCsv, pickJson, verifyPassword } = readyTasks(offloader)

const inline: TaskContext = {
  signal: new AbortController().signal,
  carried: undefined,
  report() {},
  transfer() {},
  check() {},
}

describe('compression', () => {
  const text = 'to be compressed '.repeat(1_000)

  it('gzip and gunzip', async () => {
    const packed = await gzip({ data: text, level: 9 })
    expect(gunzipSync(packed).toString()).toBe(text)
    expect(Buffer.from(await gunzip({ data: packed, maxBytes: 100_000 })).toString()).toBe(text)
  })

  it('brotli', async () => {
    expect(brotliDecompressSync(await brotli({ data: Buffer.from(text) })).toString()).toBe(text)
  })

  it('a gzip bomb is refused by its size', async () => {
    const bomb = gzipSync(Buffer.alloc(10_000_000))
    const error = await rejection(gunzip({ data: bomb, maxBytes: 1_000_000 }))
    expect(error).toMatchObject({ code: 'ERR_BUFFER_TOO_LARGE' })
  })

  it('gunzip unpacks nothing without a bound', async () => {
    const data = gzipSync('text')
    for (const maxBytes of [undefined, 0, Number.POSITIVE_INFINITY, '64mb'] as number[])
      expect(await rejection(gunzip({ data, maxBytes }))).toMatchObject({ code: 'ERR_OFFLOAD_OPTION' })
  })
})

describe('passwords', () => {
  it('are verified against their own hash only, salted, and in any normal form', async () => {
    const password = 'caf\u00e9 17'
    const [hash, other] = await Promise.all([
      hashPassword({ password, logN: 10 }),
      hashPassword({ password, logN: 10 }),
    ])
    expect(hash).toMatch(/^\$scrypt\$ln=10,r=8,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    expect(hash).not.toBe(other)
    expect(await verifyPassword({ password, hash })).toBe(true)
    expect(await verifyPassword({ password: 'cafe\u0301 17', hash })).toBe(true)
    expect(await verifyPassword({ password: 'cafe 17', hash })).toBe(false)
  })

  it("what is no hash is nobody's, and one of absurd cost takes no memory", async () => {
    for (const hash of [
      '',
      'x',
      '$scrypt$ln=60,r=8,p=1$c2FsdA$aGFzaA',
      '$scrypt$ln=0,r=8,p=1$c2FsdA$aGFzaA',
      '$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO0',
      '$argon2id$v=19$m=8,t=2,p=2$c29tZXNhbHQ$CTFhFdXPJO0',
      '$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO0',
    ]) {
      expect(await verifyPassword({ password: '', hash })).toBe(false)
    }
  })

  it('Argon2id where Node has it, verified against the reference; else a clear error, never a wrong answer', async () => {
    const has = 'argon2Sync' in crypto
    const made = hashPassword({ password: 'x', algorithm: 'argon2id' }).catch(({ code }) => code)
    expect(await made).toMatch(
      has ? /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/ : 'ERR_OFFLOAD_ARGON2',
    )
    // Of the reference implementation's own tests.
    const hash = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
    const answers = ['password', 'differentpassword'].map((password) =>
      verifyPassword({ password, hash }).catch(({ code }) => code),
    )
    expect(await Promise.all(answers)).toEqual(
      has ? [true, false] : ['ERR_OFFLOAD_ARGON2', 'ERR_OFFLOAD_ARGON2'],
    )
  })

  it('the default cost is the recommended one', async () => {
    expect(await hashPassword({ password: 'x' })).toMatch(/^\$scrypt\$ln=17,r=8,p=1\$/)
  })
})

describe('pickJson', () => {
  it('brings back what is picked, and only own members', async () => {
    const json = JSON.stringify({ user: { name: 'Ada' }, items: [{ id: 1 }, { id: 2 }] })
    const pick = ['user.name', 'items.1.id', 'items.length', 'user.constructor', 'no.thing']
    expect(await pickJson({ json: Buffer.from(json), pick })).toEqual({
      'user.name': 'Ada',
      'items.1.id': 2,
      'items.length': 2,
      'user.constructor': undefined,
      'no.thing': undefined,
    })
    expect(await rejection(pickJson({ json: '{', pick: [] }))).toBeInstanceOf(SyntaxError)
  })
})

describe('parseCsv', () => {
  it('columns by name, numbers as Float64Array, CRLF, BOM, empty lines and short records', async () => {
    const csv = Buffer.from('\ufeffid,name,note\r\n1,Ada,"says ""hi"",\r\nthen goes"\r\n\r\n2,Bob\r\n,"",x')
    const table = await parseCsv({ csv, numbers: ['id'] })
    expect(table.length).toBe(3)
    expect(table.columns).toEqual({
      id: Float64Array.of(1, 2, Number.NaN),
      name: ['Ada', 'Bob', ''],
      note: ['says "hi",\r\nthen goes', '', 'x'],
    })
  })

  it('own names, another delimiter, only some columns', async () => {
    const table = await parseCsv({
      csv: 'a;b\nc;d\n',
      delimiter: ';',
      columns: ['x', '__proto__'],
      only: ['__proto__'],
    })
    expect(Object.entries(table.columns)).toEqual([['__proto__', ['b', 'd']]])
  })

  it.each([
    ['a,b\n1,"x', 'never closed'],
    ['a,b\n1,"x"y', 'after a closing quote'],
    ['a,b\nx"y,1', 'within a field'],
  ])('refuses %j with the record', async (csv, message) => {
    const error = await rejection(parseCsv({ csv }))
    expect(error).toBeInstanceOf(SyntaxError)
    expect(error).toMatchObject({ code: 'ERR_OFFLOAD_CSV' })
    expect(error.message).toMatch(new RegExp(`^Record 2 .*${message}`))
  })

  it('reads back whatever a correct writer writes', () => {
    const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r\n', ' ', 'é'), maxLength: 6 })
    const write = (value: string) => `"${value.replaceAll('"', '""')}"`
    fc.assert(
      fc.property(fc.array(fc.tuple(field, field), { maxLength: 8 }), fc.boolean(), (rows, crlf) => {
        const csv = rows.map((row) => row.map(write).join(',')).join(crlf ? '\r\n' : '\n')
        const { columns, length } = parseHere({ csv, columns: ['x', 'y'] }, inline)
        expect(length).toBe(rows.length)
        expect(columns).toEqual({ x: rows.map(([x]) => x), y: rows.map(([, y]) => y) })
      }),
    )
  })
})
