import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What the house tests read: the files of this repository. */
export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))

export const PUBLISHED = ['cluster', 'cache', 'mysql', 'limiter', 'offload', 'memory', 'metrics'] as const
export type Published = (typeof PUBLISHED)[number]

export const FRAMEWORKS = ['express', 'fastify', 'koa'] as const

const SKIPPED = new Set(['node_modules', 'dist', '.git', '.vite-temp', '.vitepress', 'coverage'])

/** Every file below a folder of the house, as a path from its root with slashes. Installed and built ones left out. */
export function filesBelow(folder: string, matches: RegExp = /./): string[] {
  const absolute = join(ROOT, folder)
  if (!existsSync(absolute)) return []
  return readdirSync(absolute, { withFileTypes: true })
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : filesBelow(path, matches)
      return entry.isFile() && matches.test(path) ? [path] : []
    })
    .sort()
}

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export function exists(path: string): boolean {
  return existsSync(join(ROOT, path))
}

/** The TypeScript sources of a package. */
export function sourcesOf(name: string): string[] {
  return filesBelow(`packages/${name}/src`, /\.[cm]?ts$/)
}

export interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly bin?: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { optional?: boolean }>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly [field: string]: unknown
}

export function manifestOf(name: string): Manifest {
  return JSON.parse(textOf(`packages/${name}/package.json`)) as Manifest
}

/** The package that a specifier is of: `mysql2/promise` is `mysql2`. */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Where a relative specifier of a file points, from the root. */
export function target(path: string, specifier: string): string {
  return relative(ROOT, join(ROOT, dirname(path), specifier))
    .split(sep)
    .join('/')
}

/** The rows of every Markdown table whose first cell is code: cells without their back-ticks. */
export function rowsOf(path: string): string[][] {
  return textOf(path)
    .split('\n')
    .filter((line) => /^\| *`/.test(line))
    .map((line) =>
      line
        .trim()
        .replace(/^\||\|$/g, '')
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replace(/^`([^`]*)`$/, '$1')),
    )
}
