import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { filesBelow, PUBLISHED, type Published, rowsOf, sourcesOf, textOf } from './files.js'
import { nodesOf, placeOf } from './syntax.js'

const PREFIX = new RegExp(`^ERR_(${PUBLISHED.map((name) => name.toUpperCase()).join('|')})_`)

interface Code {
  readonly place: string
  readonly pkg: Published
  /** The HTTP status that stands beside it, when it is the one of a refusal. */
  readonly status?: number
}

/** Every error code in the sources, with the places where it stands. */
function codesInSource(): Map<string, Code[]> {
  const codes = new Map<string, Code[]>()
  const add = (code: string, one: Code) => codes.set(code, [...(codes.get(code) ?? []), one])
  for (const pkg of PUBLISHED) {
    for (const path of sourcesOf(pkg)) {
      for (const node of nodesOf(path)) {
        if (ts.isStringLiteral(node) && PREFIX.test(node.text)) {
          const status = statusBeside(node)
          add(node.text, { place: placeOf(node), pkg, ...(status === undefined ? {} : { status }) })
        }
        if (ts.isCallExpression(node) && node.expression.getText() === 'defineOptions') {
          const [owner] = node.arguments
          if (owner !== undefined && ts.isStringLiteral(owner))
            add(`ERR_${owner.text.toUpperCase()}_OPTION`, { place: placeOf(node), pkg })
        }
      }
    }
  }
  return codes
}

/** `{ code: 'ERR_...', status: 503 }` */
function statusBeside(literal: ts.StringLiteral): number | undefined {
  const { parent } = literal
  if (!ts.isPropertyAssignment(parent) || parent.name.getText() !== 'code') return undefined
  for (const property of parent.parent.properties) {
    if (ts.isPropertyAssignment(property) && property.name.getText() === 'status')
      return ts.isNumericLiteral(property.initializer) ? Number(property.initializer.text) : undefined
  }
  return undefined
}

interface Named {
  readonly place: string
  readonly pkg: Published
  readonly published: boolean
}

/** Every channel in the sources: where it is made, and where it is listened to. */
function channelsInSource(): Map<string, Named[]> {
  const channels = new Map<string, Named[]>()
  for (const pkg of PUBLISHED) {
    for (const path of sourcesOf(pkg)) {
      for (const node of nodesOf(path)) {
        if (!ts.isStringLiteral(node) || !/^spillway:[a-z]+:[a-z-]+$/.test(node.text)) continue
        const published =
          ts.isCallExpression(node.parent) && /(^|\.)channel$/.test(node.parent.expression.getText())
        const named = { place: placeOf(node), pkg, published }
        channels.set(node.text, [...(channels.get(node.text) ?? []), named])
      }
    }
  }
  return channels
}

function classesOf(pkg: Published): Set<string> {
  const names = new Set(['TypeError', 'RangeError', 'SyntaxError', 'Error', 'AggregateError'])
  for (const path of sourcesOf(pkg)) {
    for (const node of nodesOf(path)) if (ts.isClassDeclaration(node) && node.name) names.add(node.name.text)
  }
  return names
}

describe('docs/reference/errors.md', () => {
  const codes = codesInSource()
  const rows = rowsOf('docs/reference/errors.md')
  const listed = rows.map(([code = '']) => code)

  it('lists every code of the sources', () => {
    expect([...codes.keys()].filter((code) => !listed.includes(code)).sort()).toEqual([])
  })

  it('lists no other, and none twice', () => {
    expect(listed.filter((code) => !codes.has(code))).toEqual([])
    expect(listed.filter((code, i) => listed.indexOf(code) !== i)).toEqual([])
  })

  it('says of each: class, status or misuse, when, and what to do', () => {
    for (const [code = '', classes = '', status = '', when = '', todo = '', ...more] of rows) {
      expect(more, code).toEqual([])
      expect(status, code).toMatch(/^(\d{3}( or \d{3})*|misuse|failure)$/)
      expect(when.length, `when: ${code}`).toBeGreaterThan(15)
      expect(todo.length, `what to do: ${code}`).toBeGreaterThan(10)
      const known = classesOf(codes.get(code)![0]!.pkg)
      for (const name of classes.replaceAll('`', '').split(/ or |, /)) expect(known, code).toContain(name)
    }
  })

  it('gives the status that the source gives', () => {
    for (const [code = '', , status = ''] of rows) {
      for (const { status: own, place } of codes.get(code) ?? [])
        if (own !== undefined) expect(status, `${code} at ${place}`).toContain(String(own))
    }
  })
})

describe('docs/reference/channels.md', () => {
  const channels = channelsInSource()
  const rows = rowsOf('docs/reference/channels.md')
  const listed = rows.map(([name = '']) => name)
  const published = [...channels].filter(([, places]) => places.some((place) => place.published))

  it('lists every channel that is published', () => {
    expect(published.map(([name]) => name).filter((name) => !listed.includes(name))).toEqual([])
  })

  it('lists no other, and none twice', () => {
    const names = published.map(([name]) => name)
    expect(listed.filter((name) => !names.includes(name))).toEqual([])
    expect(listed.filter((name, i) => listed.indexOf(name) !== i)).toEqual([])
  })

  it('says what is in each message, and when it is published', () => {
    for (const [name = '', fields = '', when = '', ...more] of rows) {
      expect(more, name).toEqual([])
      expect(fields.length, `fields: ${name}`).toBeGreaterThan(3)
      expect(when.length, `when: ${name}`).toBeGreaterThan(10)
    }
  })

  it('each is named after the package that publishes it', () => {
    for (const [name, places] of published) {
      for (const { pkg, place, published: own } of places)
        if (own) expect(name.split(':')[1], place).toBe(pkg)
    }
  })

  it('nobody listens to a channel that does not exist', () => {
    const names = new Set(published.map(([name]) => name))
    const deaf = [...channels].filter(([name]) => !names.has(name))
    expect(deaf.map(([name, places]) => `${places[0]?.place} ${name}`)).toEqual([])
  })
})

describe('what the READMEs and the pages name exists', () => {
  const pages = [...filesBelow('docs', /\.md$/), ...filesBelow('packages', /^packages\/[a-z]+\/README\.md$/)]

  it.each([
    ['codes', PREFIX.source.slice(1), 'docs/reference/errors.md'],
    ['channels', `spillway:(${PUBLISHED.join('|')}):`, 'docs/reference/channels.md'],
  ])('%s', (_what, prefix, table) => {
    const listed = new Set(rowsOf(table).map(([name]) => name))
    const named = pages.flatMap((path) =>
      [...textOf(path).matchAll(new RegExp(`(?<=[\`'"])${prefix}[A-Za-z_-]+(?=[\`'"])`, 'g'))].map(
        ([name]) => ({ path, name }),
      ),
    )
    expect(named.length).toBeGreaterThan(10) // they do name some
    expect(named.filter(({ name }) => !listed.has(name))).toEqual([])
  })
})
