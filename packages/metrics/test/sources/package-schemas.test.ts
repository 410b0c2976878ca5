import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { SCHEMAS } from '../../src/sources/package-schemas.js'
import { kindOf } from '../../src/sources/snapshot-reader.js'

/** Every figure that a package says of itself has its way to be merged. What there is stands in the types of their stats(). */

const SOURCES: Readonly<Record<string, readonly [file: string, type: string]>> = {
  cache: ['cache/src/stats.ts', 'CacheStats'],
  mysql: ['mysql/src/pool.ts', 'MysqlPoolStats'],
  limiter: ['limiter/src/limiter.ts', 'RateLimiterStats'],
  concurrency: ['limiter/src/concurrency/concurrency.ts', 'ConcurrencyStats'],
  offload: ['offload/src/stats.ts', 'OffloaderStats'],
  memory: ['memory/src/stats.ts', 'MemoryStats'],
  cluster: ['cluster/src/stats.ts', 'SupervisorStats'],
}

const fileOf = (path: string) => new URL(`../../../${path}`, import.meta.url).pathname
const base = new URL('../../../../tsconfig.json', import.meta.url).pathname
const { config } = ts.readConfigFile(base, ts.sys.readFile)
const { options } = ts.parseJsonConfigFileContent(config, ts.sys, base.replace(/\/[^/]+$/, ''))
const program = ts.createProgram(
  Object.values(SOURCES).map(([path]) => fileOf(path)),
  { ...options, noEmit: true, skipLibCheck: true },
)
const checker = program.getTypeChecker()

/** The paths of all numbers, flags and words in a type; those that the schema leaves out are not looked into. */
function* figures(type: ts.Type, path: readonly string[], kind: string): Generator<string> {
  const schema = SCHEMAS[kind]!
  const at = path.join('.')
  if (path.length > 0 && kindOf(schema, at) === 'omit') return
  for (const part of type.isUnion() ? type.types : [type]) {
    if (part.flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Null)) continue
    if (part.flags & (ts.TypeFlags.NumberLike | ts.TypeFlags.BooleanLike | ts.TypeFlags.StringLike)) yield at
    else if (Object.hasOwn(schema.records ?? {}, at)) {
      const inner =
        checker.getIndexTypeOfType(part, ts.IndexKind.Number) ??
        checker.getIndexTypeOfType(part, ts.IndexKind.String)
      const types =
        inner === undefined
          ? checker.getPropertiesOfType(part).map((one) => checker.getTypeOfSymbol(one))
          : [inner]
      for (const one of types) yield* figures(one, [...path, '*'], kind)
    } else if (checker.isArrayType(part)) yield `${at} (a list)`
    else
      for (const one of checker.getPropertiesOfType(part))
        yield* figures(checker.getTypeOfSymbol(one), [...path, one.name], kind)
  }
}

function typeOf([path, name]: readonly [string, string]): ts.Type {
  const source = program.getSourceFile(fileOf(path))!
  const found = source.statements.find((one) => ts.isInterfaceDeclaration(one) && one.name.text === name)
  return checker.getTypeAtLocation(found!)
}

describe.each(Object.entries(SOURCES))('T5 the schema of %s', (kind, source) => {
  const all = [...new Set(figures(typeOf(source), [], kind))]

  it('T5 says of every figure how it merges', () => {
    expect(all.length).toBeGreaterThan(3)
    expect(all.filter((path) => kindOf(SCHEMAS[kind]!, path) === undefined)).toEqual([])
  })

  it('T5 makes its shares of counters that there are', () => {
    for (const { of, to } of Object.values(SCHEMAS[kind]!.ratios ?? {})) {
      for (const path of [...of, ...to]) {
        expect(kindOf(SCHEMAS[kind]!, path)).toBe('counter')
        expect(all).toContain(path)
      }
    }
  })
})

it('T5 knows every kind there is', () => {
  expect(Object.keys(SOURCES).sort()).toEqual(Object.keys(SCHEMAS).sort())
})
