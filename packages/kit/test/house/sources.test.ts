import { homedir } from 'node:os'
import { basename } from 'node:path'
import { describe, expect, it } from 'vitest'
import { exists, FRAMEWORKS, filesBelow, PUBLISHED, ROOT, sourcesOf, textOf } from './files.js'
import { assembled, casts, listeners, longerThan, printing, silenced, unfinished, unrun } from './rules.js'
import { exportedValues } from './syntax.js'

const SOURCES = [...PUBLISHED, 'kit', 'testkit']
  .flatMap(sourcesOf)
  .concat(filesBelow('packages/kit/testing', /\.ts$/))
const TESTS = [
  ...filesBelow('packages', /\/test\/.*\.[cm]?[jt]s$/),
  ...filesBelow('examples', /\/test\/.*\.[cm]?[jt]s$/),
]

describe('sources', () => {
  it('are there', () => {
    expect(SOURCES.length).toBeGreaterThan(100)
    expect(TESTS.length).toBeGreaterThan(30)
  })

  it('are files of one noun, never long', () => {
    expect(longerThan(350)(SOURCES)).toEqual([])
    expect(
      SOURCES.filter((path) => /^(utils?|helpers?|common|misc|shared)\.ts$/.test(basename(path))),
    ).toEqual([])
  })

  it('do not talk the type checker into anything', () => {
    expect(casts(SOURCES)).toEqual([])
    expect(silenced(SOURCES)).toEqual([])
  })

  it('have nothing left to do', () => {
    expect(unfinished(SOURCES)).toEqual([])
  })

  it('write nothing to the console', () => {
    expect(printing(PUBLISHED.filter((name) => name !== 'cluster').flatMap(sourcesOf))).toEqual([])
  })

  it('name their codes and channels as literals', () => {
    expect(assembled(PUBLISHED.flatMap(sourcesOf))).toEqual([])
  })
})

/**
 * Listeners on the process that are not the supervisor's: the messages from the primary, as CONTRIBUTING lists them; in the
 * threads of the offloader, whose process is their own, how they end.
 */
const LISTENERS: Readonly<Record<string, readonly string[]>> = {
  limiter: ['message', 'disconnect'],
  metrics: ['message'],
  offload: ['uncaughtExceptionMonitor', 'exit'],
}

it.each(PUBLISHED.filter((name) => name !== 'cluster'))('%s listens to nothing but that', (name) => {
  expect(listeners(LISTENERS[name] ?? [])(sourcesOf(name))).toEqual([])
})

it('tests are all run', () => {
  expect(unrun(TESTS)).toEqual([])
})

/** Names that each framework brings in a way of its own. */
const OWN_WAY: Readonly<Record<(typeof FRAMEWORKS)[number], RegExp>> = {
  express: /^closeWith$/, // Express and Koa have no close hook: closed with the server
  koa: /^closeWith$/,
  fastify: /^(default|\w+Plugin)$/, // Fastify has: closed with the app, by a plugin
}

describe('the three adapters of a package export the same names', () => {
  it.each(PUBLISHED)('%s', (name) => {
    const [express, fastify, koa] = FRAMEWORKS.map((framework) => {
      const path = `packages/${name}/src/${framework}.ts`
      expect(exists(path), path).toBe(true)
      return exportedValues(path).filter((value) => !OWN_WAY[framework].test(value))
    })
    expect(express?.length).toBeGreaterThan(0)
    expect(fastify).toEqual(express)
    expect(koa).toEqual(express)
  })
})

const PROMISED: Readonly<Record<(typeof PUBLISHED)[number], readonly string[]>> = {
  cluster: ['drainGate', 'health'],
  cache: ['cacheResponse'],
  mysql: ['mysqlPool'],
  limiter: ['rateLimit'],
  offload: ['offload'],
  memory: ['shedLoad', 'health'],
  metrics: ['metrics'],
}

it.each(PUBLISHED)('the adapters of %s have the names of the design', (name) => {
  expect(exportedValues(`packages/${name}/src/koa.ts`)).toEqual(expect.arrayContaining([...PROMISED[name]]))
})

it('nothing names the machine it was made on', () => {
  const here = [ROOT.slice(0, -1), homedir()].filter((path) => path.split('/').length > 2 || path === '/root')
  const files = filesBelow('', /\.([cm]?[jt]sx?|json|md|ya?ml|lua|sql|html|css|sh)$|^\.ci\/run$/)
  const naming = files.filter((path) => here.some((place) => textOf(path).includes(`${place}/`)))
  expect(files.length).toBeGreaterThan(200)
  expect(naming).toEqual([])
})

/** The shapes of each package's adapters, as CONTRIBUTING has them. */
const SHAPES: Readonly<Record<(typeof PUBLISHED)[number], readonly string[]>> = {
  cluster: ['gate', 'probe'],
  cache: ['replay'],
  mysql: ['attach'],
  limiter: ['gate'],
  offload: ['attach'],
  memory: ['gate', 'probe'],
  metrics: ['attach', 'probe'],
}

it.each(PUBLISHED)('the adapters of %s go through the conformance suites', (name) => {
  const tests = TESTS.filter((path) => path.startsWith(`packages/${name}/`) && path.endsWith('.test.ts')).map(
    textOf,
  )
  const missing = SHAPES[name].filter((shape) => !tests.some((text) => text.includes(`${shape}Suite(`)))
  expect(missing).toEqual([])
})
