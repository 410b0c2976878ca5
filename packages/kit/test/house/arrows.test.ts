import { describe, expect, it } from 'vitest'
import { FRAMEWORKS, filesBelow, manifestOf, PUBLISHED, packageOf, sourcesOf, target } from './files.js'
import { type Import, importsOf } from './syntax.js'

/** The engine that a package wraps. Everything else a package needs is in Node. */
const ENGINES: Readonly<Record<(typeof PUBLISHED)[number], readonly string[]>> = {
  cluster: [],
  cache: ['lru-cache', 'devalue'],
  mysql: ['mysql2'],
  limiter: [],
  offload: ['piscina'],
  memory: [],
  metrics: ['prom-client'],
}

/** What the user brings; only its types may be named. */
const PEERS: readonly string[] = [...FRAMEWORKS, 'ioredis']

function misdirected(path: string, name: (typeof PUBLISHED)[number]): string[] {
  return importsOf(path)
    .filter((one) => !allowed(path, name, one))
    .map(({ place, specifier }) => `${place} imports ${specifier}`)
}

function allowed(path: string, name: (typeof PUBLISHED)[number], { specifier, typeOnly }: Import): boolean {
  if (specifier.startsWith('node:')) return true
  if (specifier.startsWith('.')) return target(path, specifier).startsWith(`packages/${name}/src/`)
  if (specifier === '@spillway/kit' || specifier === '@spillway/kit/message') return true
  const framework = FRAMEWORKS.find((one) => path === `packages/${name}/src/${one}.ts`)
  if (specifier.startsWith('@spillway/kit/'))
    return specifier === `@spillway/kit/${framework}` || isPart(path, specifier)
  const engine = packageOf(specifier)
  if (PEERS.includes(engine)) return typeOnly
  return ENGINES[name].includes(engine)
}

/** A part of an adapter may use the kit's helpers of its framework, when it says so in its name: `express-body.ts`. */
function isPart(path: string, specifier: string): boolean {
  const framework = specifier.slice('@spillway/kit/'.length)
  return new RegExp(`/(${framework}-[a-z-]+|http)\\.ts$`).test(path) && framework !== 'testing'
}

describe('a package points at the kit, its own engine and Node, and at nothing else of ours', () => {
  it.each(PUBLISHED)('%s', (name) => {
    const sources = sourcesOf(name)
    expect(sources.length).toBeGreaterThan(0)
    expect(sources.flatMap((path) => misdirected(path, name))).toEqual([])
  })
})

describe('its manifest says the same', () => {
  it.each(PUBLISHED)('%s', (name) => {
    const { dependencies = {}, peerDependencies = {} } = manifestOf(name)
    const used = new Set(
      sourcesOf(name).flatMap((path) =>
        importsOf(path)
          .filter(({ specifier }) => !/^(node:|\.|@spillway\/)/.test(specifier))
          .map(({ specifier }) => packageOf(specifier)),
      ),
    )
    expect(Object.keys(dependencies).sort()).toEqual([...ENGINES[name]].sort())
    expect(Object.keys(dependencies).filter((engine) => !used.has(engine))).toEqual([])
    expect([...used].filter((one) => !(one in dependencies) && !(one in peerDependencies))).toEqual([])
  })
})

it('the kit points at Node alone', () => {
  const outward = sourcesOf('kit').flatMap((path) =>
    importsOf(path)
      .filter(({ specifier }) =>
        specifier.startsWith('.')
          ? !target(path, specifier).startsWith('packages/kit/src/')
          : !specifier.startsWith('node:'),
      )
      .map(({ place, specifier }) => `${place} imports ${specifier}`),
  )
  expect(outward).toEqual([])
})

it('only benchmarks and examples put packages together', () => {
  const joined = filesBelow('packages', /\.[cm]?[jt]s$/).filter((path) => {
    const [, own, folder] = path.split('/')
    if (own === 'bench' || folder === 'src') return false
    return importsOf(path).some(({ specifier }) =>
      PUBLISHED.some((name) => name !== own && packageOf(specifier) === `@spillway/${name}`),
    )
  })
  expect(joined).toEqual([])
})
