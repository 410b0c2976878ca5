import { describe, expect, it } from 'vitest'
import { exists, FRAMEWORKS, manifestOf, PUBLISHED, textOf } from './files.js'

const entry = (name: string) => ({
  import: { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` },
  require: { types: `./dist/${name}.d.cts`, default: `./dist/${name}.cjs` },
})

/** Sub-paths that one package has more than the others. */
const MORE: Readonly<Record<string, readonly string[]>> = { offload: ['tasks'] }

describe.each(PUBLISHED)('the manifest of %s', (name) => {
  const manifest = manifestOf(name)
  const subPaths = [...FRAMEWORKS, ...(MORE[name] ?? [])]

  it('is a public MIT package of this repository', () => {
    expect(manifest).toMatchObject({
      name: `@spillway/${name}`,
      license: 'MIT',
      repository: { type: 'git', directory: `packages/${name}` },
      publishConfig: { access: 'public', provenance: true },
    })
    expect(manifest.private).toBeUndefined()
    expect(manifest.version).toMatch(/^\d+\.\d+\.\d+$/)
    expect(manifest.description).toEqual(expect.stringMatching(/^.{20,120}[^.]$/))
    expect(manifest.keywords).toEqual(expect.arrayContaining(['nodejs', ...FRAMEWORKS]))
    expect(manifest.homepage).toMatch(/^https:/)
  })

  it('is ESM and CJS, with types for both, on each sub-path', () => {
    expect(manifest).toMatchObject({ type: 'module', sideEffects: false })
    expect(manifest.exports).toEqual({
      '.': entry('index'),
      ...Object.fromEntries(subPaths.map((path) => [`./${path}`, entry(path)])),
      './package.json': './package.json',
    })
    expect(manifest).toMatchObject({
      main: './dist/index.cjs',
      module: './dist/index.js',
      types: './dist/index.d.cts',
      typesVersions: { '*': Object.fromEntries(subPaths.map((path) => [path, [`./dist/${path}.d.cts`]])) },
    })
  })

  it('runs on Node from 20.19 and publishes what is built', () => {
    expect(manifest.engines).toEqual({ node: '>=20.19.0' })
    expect(manifest.files).toEqual(expect.arrayContaining(['dist']))
    for (const folder of manifest.files as string[]) {
      if (folder !== 'dist') expect(exists(`packages/${name}/${folder}`), folder).toBe(true)
    }
    for (const file of Object.values(manifest.bin ?? {})) {
      expect(exists(`packages/${name}/${file}`), file).toBe(true)
      expect(textOf(`packages/${name}/${file}`)).toMatch(/^#!\/usr\/bin\/env node\n/)
    }
  })

  it('leaves the frameworks, and every other peer, to the user', () => {
    const { peerDependencies = {}, peerDependenciesMeta = {} } = manifest
    expect(peerDependencies).toMatchObject({ express: '^4.18 || ^5', fastify: '^5', koa: '^2.15 || ^3' })
    for (const peer of Object.keys(peerDependencies))
      expect(peerDependenciesMeta[peer], peer).toEqual({ optional: true })
  })

  it('depends on nothing private', () => {
    for (const dependency of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }))
      expect(dependency).not.toMatch(/^@spillway\//)
    const scripts = manifest.scripts as Record<string, string>
    expect(Object.keys(scripts).filter((script) => /install|prepare/.test(script))).toEqual([])
  })
})

it('what is private cannot be published', () => {
  for (const name of ['kit', 'testkit', 'bench']) expect(manifestOf(name).private, name).toBe(true)
})
