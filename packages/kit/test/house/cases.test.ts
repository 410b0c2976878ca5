import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { filesBelow, rowsOf, textOf } from './files.js'
import { nodesOf, placeOf } from './syntax.js'

const PAGE = 'docs/reference/cases.md'
/** Titles of every kind, and texts that are none. */
const TITLES = 'packages/kit/test/house/titles.txt'

/** `B14 ...`, `L10, L11: ...` */
const AT_THE_START = /^[A-Z]\d{1,2}(?:,? [A-Z]\d{1,2})*(?=[: ])/
/** `... (K26)` */
const AT_THE_END = /\(([A-Z]\d{1,2})\)$/

function idsOf(title: string): string[] {
  const [ids = ''] = AT_THE_START.exec(title) ?? []
  return [...(ids.match(/[A-Z]\d+/g) ?? []), ...(AT_THE_END.exec(title)?.slice(1) ?? [])]
}

/** The text is the first argument of `it`, `test` or `describe`, a property `title`, or the first cell of a table of titles. */
function isTitle(text: ts.Node): boolean {
  const node = ts.isTemplateHead(text) ? text.parent : text
  const { parent } = node
  if (ts.isCallExpression(parent))
    return parent.arguments[0] === node && /^(it|test|describe)$/.test(calledName(parent))
  if (ts.isPropertyAssignment(parent)) return parent.name.getText() === 'title'
  return (
    ts.isArrayLiteralExpression(parent) &&
    parent.elements[0] === node &&
    ts.isArrayLiteralExpression(parent.parent)
  )
}

/** `it` of `it.skipIf(slow).each(rows)(title)`. */
function calledName(call: ts.CallExpression): string {
  let callee: ts.Node = call.expression
  for (;;) {
    if (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) callee = callee.expression
    else if (ts.isTaggedTemplateExpression(callee)) callee = callee.tag
    else return callee.getText()
  }
}

interface Titled {
  readonly place: string
  readonly pkg: string
}

/** Every case id in the title of a test, with the places where it stands. */
function casesInTitles(paths: readonly string[]): Map<string, Titled[]> {
  const cases = new Map<string, Titled[]>()
  for (const path of paths) {
    const [floor = '', name = ''] = path.split('/')
    for (const node of nodesOf(path)) {
      if (!ts.isStringLiteralLike(node) && !ts.isTemplateHead(node)) continue
      const ids = idsOf(node.text)
      if (ids.length === 0 || !isTitle(node)) continue
      for (const id of ids) {
        const titled = { place: placeOf(node), pkg: floor === 'examples' ? floor : name }
        cases.set(id, [...(cases.get(id) ?? []), titled])
      }
    }
  }
  return cases
}

describe('docs/reference/cases.md', () => {
  const tests = [
    ...filesBelow('packages', /\/(test|testing)\/(?!house\/cases).*\.[cm]?ts$/),
    ...filesBelow('examples', /\/test\/.*\.[cm]?ts$/),
  ]
  const cases = casesInTitles(tests)
  const rows = rowsOf(PAGE)
  const listed = rows.map(([id = '']) => id)

  it('lists every case id that stands in the title of a test', () => {
    const missing = [...cases].filter(([id]) => !listed.includes(id))
    expect(missing.map(([id, [first]]) => `${id} at ${first?.place}`)).toEqual([])
  })

  it('lists no other, and none twice', () => {
    expect(listed.filter((id) => !cases.has(id))).toEqual([])
    expect(listed.filter((id, i) => listed.indexOf(id) !== i)).toEqual([])
  })

  it('says of each what goes wrong, in which packages its tests stand, and where it was reported', () => {
    for (const [id = '', what = '', packages = '', reported = '', ...more] of rows) {
      expect(more, id).toEqual([])
      expect(what, id).toMatch(/^[A-Z`].{20,}\.$/)
      const standing = new Set(cases.get(id)?.map(({ pkg }) => pkg))
      expect(packages.split(', '), id).toEqual([...standing].sort())
      if (reported !== '') expect(reported, id).toMatch(/^\[[^\]]+\]\(https:\/\/[^)]+\)/)
    }
  })

  it('has the ids that other pages cite', () => {
    const pages = [...filesBelow('docs', /\.md$/), 'ARCHITECTURE.md', 'CONTRIBUTING.md']
    const cited = pages.flatMap((path) =>
      [...textOf(path).matchAll(/(?<=[`(]|\([^()`]*, )[A-Z]\d{1,2}(?=[`),])/g)].map(([id]) => ({ path, id })),
    )
    expect(cited.length).toBeGreaterThan(listed.length + 10)
    expect(cited.filter(({ id }) => !listed.includes(id))).toEqual([])
  })
})

describe('the ids in a title are', () => {
  it.each([
    ['S1 K51 K56 any history', ['S1', 'K51', 'K56']],
    ['L10, L11: every call is answered', ['L10', 'L11']],
    ['records a worker that was killed (K26)', ['K26']],
    ['HTTP/2 over TLS', []],
    ['PM2 as it was', []],
  ])('of "%s": %j', (title, ids) => {
    expect(idsOf(title)).toEqual(ids)
  })

  it('those of titles, not of other texts', () => {
    const found = casesInTitles([TITLES])
    expect([...found.keys()]).toEqual(['S1', 'K51', 'M24', 'B41', 'K26', 'L52'])
    expect(found.get('K26')).toEqual([{ place: `${TITLES}:4`, pkg: 'kit' }])
  })
})
