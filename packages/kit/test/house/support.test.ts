import { describe, expect, it } from 'vitest'
import { manifestOf, PUBLISHED, rowsOf, textOf } from './files.js'

const PATH = 'docs/reference/support.md'

/** The exact versions that the workspace installs, older majors under their own names: `express4`, `koa2`. */
function installed(name: string): string[] {
  const lines = textOf('pnpm-workspace.yaml').matchAll(/^ {2}"?([@\w/-]+)"?: (?:npm:[\w-]+@)?([\d.]+)$/gm)
  return [...lines]
    .filter(([, key = '']) => key === name || key.replace(/\d+$/, '') === name)
    .map(([, , version = '']) => version)
}

describe('docs/reference/support.md', () => {
  const rows = rowsOf(PATH)

  it.each(rows.map(([name = '', supported = '', tested = '']) => ({ name, supported, tested })))(
    'tells the truth about $name',
    ({ name, supported, tested }) => {
      expect(tested.split(' and ').sort()).toEqual(installed(name).sort())
      if (supported === 'a dependency') return
      const ranges = PUBLISHED.map((pkg) => manifestOf(pkg).peerDependencies?.[name]).filter(Boolean)
      expect(ranges.length).toBeGreaterThan(0)
      for (const range of ranges) expect(supported.replaceAll('`', '').replace(' and ', ' || ')).toBe(range)
    },
  )

  it('names every peer and every engine', () => {
    const listed = rows.map(([name]) => name)
    for (const pkg of PUBLISHED) {
      const { peerDependencies = {}, dependencies = {} } = manifestOf(pkg)
      expect(listed, pkg).toEqual(expect.arrayContaining(Object.keys(peerDependencies)))
      const engines = Object.keys(dependencies).filter((name) => dependencies[name] === 'catalog:')
      expect(listed, pkg).toEqual(expect.arrayContaining(engines))
    }
  })

  it('says from which Node on', () => {
    expect(textOf(PATH)).toContain(
      JSON.stringify(manifestOf('limiter').engines).slice(1, -1).replace(':', ': '),
    )
    expect(textOf('.github/workflows/ci.yml')).toMatch(/node: \[20, 22, 24\]/)
  })
})
