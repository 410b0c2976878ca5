import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { exists, PUBLISHED, type Published, sourcesOf, textOf } from './files.js'
import { FLOORS } from './floors.js'
import { nodesOf } from './syntax.js'

const PAGE = textOf('ARCHITECTURE.md')

const FOLDER = /(?<![\w./-])(?:[a-z]+(?:-[a-z]+)*\/)+(?![\w.*])/g
const FILE = /(?<![\w/.-])[\w-]+(?:\/[\w-]+)*\.ts\b/g
/** `Fence.holds`, `Call.#leave`, `plan()` */
const CODE = /\b[A-Z]\w+\.#?[a-z]\w*|(?<![\w.])[a-z]\w*(?=\(\))/g

/** The part of the page about a package. */
function sectionOf(name: Published): string {
  const [, rest = ''] = PAGE.split(new RegExp(`^### ${name}$`, 'm'))
  return rest.split(/^##/m)[0] ?? ''
}

interface Row {
  /** A folder (`http/`) or a file at the top level (`limiter.ts`). */
  readonly room: string
  /** What the second column names: `MemoryTable`, `Fence.holds`, `plan`. */
  readonly names: readonly string[]
  readonly text: string
}

/** The lines of the diagram of a package below the path. */
function rowsOf(name: Published): Row[] {
  const [, diagram = ''] = sectionOf(name).split(/^```(?:text)?$/m)
  const [, rows = ''] = diagram.split('\n\n')
  return rows
    .split('\n')
    .filter((line) => line !== '')
    .map((text) => {
      const [, room = '', second = ''] = /^(\S+) +(?:\d )?(\S+(?: \S+)*)/.exec(text) ?? []
      return { room, names: second.split(' ').map((one) => one.replace(/\(\)$/, '')), text }
    })
}

/** Names of what a file declares: `plan`, `Fence`, `Fence.holds`, `Call.#leave`. */
function* declarationsOf(path: string): Generator<string> {
  for (const node of nodesOf(path)) {
    if (ts.isClassDeclaration(node) && node.name !== undefined) {
      yield node.name.text
      for (const { name } of node.members) yield `${node.name.text}.${name?.getText()}`
    } else if ((ts.isFunctionDeclaration(node) || ts.isVariableDeclaration(node)) && node.name !== undefined)
      yield node.name.getText()
  }
}

const declarations = new Map<string, readonly string[]>()

function declaredIn(paths: readonly string[]): Set<string> {
  for (const path of paths) if (!declarations.has(path)) declarations.set(path, [...declarationsOf(path)])
  return new Set(paths.flatMap((path) => declarations.get(path) ?? []))
}

const textsOf = (pattern: RegExp, text: string) => [...text.matchAll(pattern)].map(([found]) => found)

function filesIn(name: Published, room: string): string[] {
  const path = `packages/${name}/src/${room}`
  return sourcesOf(name).filter((source) =>
    room.endsWith('/') ? source.slice(0, source.lastIndexOf('/') + 1) === path : source === path,
  )
}

/** The folders of a package that have sources. */
function foldersOf(name: Published): string[] {
  const top = `packages/${name}/src/`
  const folders = sourcesOf(name).map((path) => path.slice(top.length, path.lastIndexOf('/') + 1))
  return [...new Set(folders)].filter((folder) => folder !== '').sort()
}

describe.each(PUBLISHED)('ARCHITECTURE.md about %s', (name) => {
  const section = sectionOf(name)
  const rows = rowsOf(name)

  it('has a diagram with every folder of the package, and with no other', () => {
    expect(rows.length).toBeGreaterThan(4)
    const folders = rows.map(({ room }) => room).filter((room) => room.endsWith('/'))
    expect(folders.sort()).toEqual(foldersOf(name))
    expect(textsOf(FOLDER, section).filter((folder) => !foldersOf(name).includes(folder))).toEqual([])
  })

  it('shows them in the order of the floors', () => {
    const floors = FLOORS[name].map((rooms) => rooms.split(' '))
    const order = rows.map(({ room }) =>
      floors.findIndex((rooms) => rooms.includes(room.replace(/\.ts$/, ''))),
    )
    expect(order).not.toContain(-1)
    expect(order).toEqual([...order].sort((a, b) => a - b))
  })

  it('names files that exist', () => {
    const files = textsOf(FILE, section).filter((path) => !path.startsWith('packages/'))
    expect(files.filter((path) => !exists(`packages/${name}/src/${path}`))).toEqual([])
  })

  it('names classes and functions that stand in their room', () => {
    const elsewhere = rows.flatMap(({ room, names }) => {
      const declared = declaredIn(filesIn(name, room))
      return names.filter((one) => !declared.has(one)).map((one) => `${one} in ${room}`)
    })
    expect(elsewhere).toEqual([])
  })

  it('names functions that exist', () => {
    const declared = declaredIn([...sourcesOf(name), ...sourcesOf('kit')])
    const named = textsOf(CODE, section)
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter((one) => !declared.has(one))).toEqual([])
  })

  it('numbers the steps of its path from 1 on', () => {
    const text = rows.map((row) => row.text).join('\n')
    const steps = textsOf(/(?<= )\d(?= \w+(?:\.#?\w|\(\)))/g, text)
    expect(steps.map(Number).sort()).toEqual(steps.map((_, i) => i + 1))
  })
})

describe('ARCHITECTURE.md', () => {
  it('names paths that exist', () => {
    const paths = textsOf(/(?<=[`(])(?:packages|docs|examples)\/[\w./-]+/g, PAGE)
    expect(paths.length).toBeGreaterThan(5)
    expect(paths.filter((path) => !exists(path))).toEqual([])
  })

  it('is one page', () => {
    expect(PAGE.split('\n').length).toBeLessThanOrEqual(185)
  })
})
