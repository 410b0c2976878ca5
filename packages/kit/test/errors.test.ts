import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { format, inspect } from 'node:util'
import { build } from 'tsup'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { brand, misuse, RejectedError } from '../src/index.js'

class FullError extends RejectedError {
  constructor() {
    super('full', { code: 'ERR_TEST_FULL', status: 503, headers: { 'Retry-After': '1' } })
  }
}
brand(FullError, 'FullError')

class BusyError extends RejectedError {
  constructor() {
    super('busy', { code: 'ERR_TEST_BUSY', status: 503 })
  }
}
brand(BusyError, 'BusyError')

describe('RejectedError', () => {
  it('says everything that the frameworks look for', () => {
    const cause = new Error('why')
    const error = new RejectedError('no', {
      code: 'ERR_TEST_NO',
      status: 429,
      headers: { 'x-a': '1' },
      cause,
    })
    expect(error).toMatchObject({
      name: 'RejectedError',
      message: 'no',
      code: 'ERR_TEST_NO',
      status: 429,
      statusCode: 429,
      expose: true,
      headers: { 'x-a': '1' },
      cause,
    })
    expect(error).toBeInstanceOf(Error)
    expect(String(error)).toBe('RejectedError: no')
  })

  it('has no headers and no cause unless given', () => {
    const error = new RejectedError('no', { code: 'ERR_TEST_NO', status: 503, expose: false })
    expect(error.headers).toEqual({})
    expect(error.expose).toBe(false)
    expect('cause' in error).toBe(false)
  })

  it('has no stack, and leaves the limit of others as it was', () => {
    const before = Error.stackTraceLimit
    const { stack } = new FullError()
    expect(stack?.trim()).toBe('FullError: full')
    expect(Error.stackTraceLimit).toBe(before)
    expect(new Error('with a stack').stack).toMatch(/\n\s+at /)
  })

  it('survives structured logging', () => {
    expect(JSON.parse(JSON.stringify(new FullError()))).toEqual({
      name: 'FullError',
      message: 'full',
      code: 'ERR_TEST_FULL',
      status: 503,
      statusCode: 503,
      expose: true,
      headers: { 'Retry-After': '1' },
    })
  })
})

describe('L52 the details of a refusal', () => {
  const details = { reason: 'db:3306: 10 of 10 in use', key: 'sk-live-SECRET', deep: { sql: 'SELECT 42' } }
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { sql: 'SELECT 42' })
  const error = new RejectedError('busy', { code: 'ERR_TEST_BUSY', status: 503, details, cause })

  it('are for the developer, and on request', () => {
    expect(error.details).toBe(details)
    expect(error.report()).toMatch(/^RejectedError \[ERR_TEST_BUSY\]: busy \(db:3306: 10 of 10 in use\)\n/)
    expect(error.report()).toContain('sk-live-SECRET')
    expect(error.report()).toContain('ECONNREFUSED')
    expect(new FullError().details).toEqual({})
    expect(new FullError().report()).toBe('FullError [ERR_TEST_FULL]: full')
  })

  it.each<[string, (error: RejectedError) => unknown]>([
    ['inspect', (it) => inspect(it, { depth: 9, getters: true })],
    ['inspect with what is not enumerable', (it) => inspect(it, { showHidden: true, depth: 9 })],
    ['format', (it) => format('%s %o %O %j', it, it, it, it)],
    ['as a cause', (it) => inspect(new Error('outer', { cause: it }), { depth: 9 })],
    ['in a list', (it) => inspect([it], { depth: 9 })],
    ['JSON', (it) => JSON.stringify({ err: it })],
    ['a spread copy', (it) => inspect({ ...it }, { depth: 9 })],
    ['a clone', (it) => inspect(structuredClone(it), { depth: 9 })],
    ['the stack', (it) => `${it.stack} ${it}`],
    [
      'a walk over its names',
      (it) => {
        const seen: string[] = []
        for (const name in it) seen.push(`${name}: ${JSON.stringify(it[name as keyof RejectedError])}`)
        return seen.join()
      },
    ],
  ])('are not in %s', (_how, print) => {
    const text = String(print(error))
    expect(text).not.toContain('SECRET')
    expect(text).not.toContain('SELECT')
  })

  it('inspect is one line, with the reason that is fit for a log', () => {
    expect(inspect(error)).toBe('RejectedError [ERR_TEST_BUSY]: busy (db:3306: 10 of 10 in use)')
  })
})

describe('brand', () => {
  it('keeps siblings apart and children with their parents', () => {
    expect(new FullError()).toBeInstanceOf(FullError)
    expect(new FullError()).toBeInstanceOf(RejectedError)
    expect(new FullError()).not.toBeInstanceOf(BusyError)
    expect(new RejectedError('no', { code: 'ERR_TEST_NO', status: 503 })).not.toBeInstanceOf(FullError)
  })

  it("leaves a user's own subclass to the language", () => {
    class Mine extends FullError {}
    class Other extends FullError {}
    expect(new Mine()).toBeInstanceOf(Mine)
    expect(new Mine()).toBeInstanceOf(FullError)
    expect(new Mine()).not.toBeInstanceOf(Other)
    expect(new FullError()).not.toBeInstanceOf(Mine)
  })

  it.each([undefined, null, 0, 'RejectedError', {}, new Error('plain'), () => {}, { name: 'RejectedError' }])(
    'does not take %s for one',
    (value) => {
      expect(value instanceof RejectedError).toBe(false)
    },
  )
})

describe('misuse', () => {
  it('is a TypeError or a RangeError with a code, whose stack begins where it was asked for', () => {
    function caller() {
      return misuse(RangeError, 'ERR_TEST_COST', 'too much')
    }
    const error = caller()
    expect(error).toBeInstanceOf(RangeError)
    expect(error).not.toBeInstanceOf(RejectedError)
    expect(error.code).toBe('ERR_TEST_COST')
    expect(error.stack?.split('\n')[1]).toContain('caller')
  })
})

describe('two copies of a package', () => {
  type Copy = { RejectedError: typeof RejectedError; FullError: typeof FullError; make(): FullError }
  let dir: string
  let esm: Copy
  let cjs: Copy

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'copies-'))
    const source = fileURLToPath(new URL('../src', import.meta.url))
    writeFileSync(
      join(dir, 'copy.ts'),
      `import { brand, RejectedError } from ${JSON.stringify(join(source, 'index.ts'))}
       class FullError extends RejectedError {
         constructor() { super('full', { code: 'ERR_TEST_FULL', status: 503 }) }
       }
       brand(FullError, 'FullError')
       export const make = () => new FullError()
       export { FullError, RejectedError }`,
    )
    await build({
      entry: [join(dir, 'copy.ts')],
      outDir: join(dir, 'out'),
      format: ['esm', 'cjs'],
      outExtension: ({ format }) => ({ js: format === 'esm' ? '.mjs' : '.cjs' }),
      target: 'node20',
      config: false,
      silent: true,
      dts: false,
    })
    esm = (await import(/* @vite-ignore */ pathToFileURL(join(dir, 'out/copy.mjs')).href)) as Copy
    cjs = createRequire(import.meta.url)(join(dir, 'out/copy.cjs')) as Copy
  })

  afterAll(() => rmSync(dir, { recursive: true }))

  it('are really two', () => {
    expect(esm.RejectedError).not.toBe(cjs.RejectedError)
    expect(esm.RejectedError).not.toBe(RejectedError)
  })

  it('recognise each other, ESM and CJS, and keep siblings apart', () => {
    for (const [own, other] of [
      [esm, cjs],
      [cjs, esm],
    ] as const) {
      expect(own.make()).toBeInstanceOf(other.FullError)
      expect(own.make()).toBeInstanceOf(other.RejectedError)
      expect(own.make()).toBeInstanceOf(RejectedError)
      expect(own.make()).toBeInstanceOf(FullError)
      expect(own.make()).not.toBeInstanceOf(BusyError)
      expect(new BusyError()).toBeInstanceOf(other.RejectedError)
      expect(new BusyError()).not.toBeInstanceOf(other.FullError)
    }
  })
})
