import { dirname, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PUBLISHED, sourcesOf, target } from './files.js'
import { FLOORS } from './floors.js'
import { importsOf } from './syntax.js'

const PARTS = new Set(['kit', ...PUBLISHED])

/** The room of a source file: its folder, or its own name at the top level. */
function roomOf(name: string, path: string): string {
  const inside = relative(`packages/${name}/src`, path).replace(/\.[cm]?ts$/, '')
  const folder = dirname(inside)
  return folder === '.' ? inside : `${folder}/`
}

/** Files of a package by what they import from it, type imports included. */
function graphOf(name: string): Map<string, string[]> {
  const sources = sourcesOf(name)
  return new Map(
    sources.map((path) => [
      path,
      importsOf(path)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => target(path, specifier).replace(/\.([cm]?)js$/, '.$1ts'))
        .filter((imported) => sources.includes(imported)),
    ]),
  )
}

/** The files of a graph that lie on a circle: what is left when leaves and roots are taken away again and again. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const open = new Map(graph)
  for (let before = -1; before !== open.size; ) {
    before = open.size
    const imported = new Set([...open.values()].flat())
    for (const [path, targets] of open) {
      if (!imported.has(path) || targets.every((one) => !open.has(one))) open.delete(path)
    }
  }
  return [...open.keys()]
}

describe('no file imports itself by way of others, types included', () => {
  it.each([...PARTS])('%s', (name) => {
    expect(circles(graphOf(name))).toEqual([])
  })

  it('would notice one', () => {
    const graph = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['b', 'd']],
      ['d', []],
    ])
    expect(circles(graph)).toEqual(['b', 'c'])
  })
})

describe('an import goes to the same room or to a lower floor', () => {
  it.each(PUBLISHED)('%s', (name) => {
    const floors = FLOORS[name].map((rooms) => rooms.split(' '))
    const floorOf = (room: string) => floors.findIndex((rooms) => rooms.includes(room))
    const graph = graphOf(name)
    const rooms = new Set([...graph.keys()].map((path) => roomOf(name, path)))
    expect([...rooms].sort(), 'every room has a floor').toEqual(floors.flat().sort())
    const wrong = [...graph].flatMap(([path, imports]) =>
      imports
        .filter((imported) => {
          const [from, to] = [roomOf(name, path), roomOf(name, imported)]
          const sideways = floorOf(from) === floorOf(to) && !from.endsWith('/') && !to.endsWith('/')
          return from !== to && floorOf(to) <= floorOf(from) && !sideways
        })
        .map((imported) => `${path} imports ${imported}`),
    )
    expect(wrong).toEqual([])
  })
})
