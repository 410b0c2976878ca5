import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { filesBelow, textOf } from './files.js'

interface Step {
  readonly uses?: string
  readonly run?: string
}

interface Job {
  readonly needs?: string | readonly string[]
  readonly uses?: string
  readonly environment?: unknown
  readonly permissions?: Readonly<Record<string, string>>
  readonly steps?: readonly Step[]
}

interface Workflow {
  readonly permissions?: unknown
  readonly jobs: Readonly<Record<string, Job>>
}

const PATHS = filesBelow('.github/workflows', /\.ya?ml$/)
const workflowAt = (path: string) => parse(textOf(path)) as Workflow
const mayPublish = ({ permissions = {} }: Job) => permissions['id-token'] === 'write'

describe.each(PATHS)('S7 the workflow %s', (path) => {
  const { permissions, jobs } = workflowAt(path)

  it('takes every action by its commit, and says which version that is', () => {
    const uses = textOf(path)
      .split('\n')
      .filter((line) => /^\s*(- )?uses:/.test(line) && !/uses: \.\//.test(line))
    expect(uses.filter((line) => !/uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line))).toEqual([])
  })

  it('may only read unless a job says otherwise', () => {
    expect(permissions).toEqual({ contents: 'read' })
  })

  it('publishes nothing without an environment and green tests, and runs no package where it may publish', () => {
    for (const [name, job] of Object.entries(jobs).filter(([, job]) => mayPublish(job))) {
      expect(job.environment, name).toBeTypeOf('string')
      expect(ancestors(jobs, name)).toContain('test')
      for (const { uses = 'actions/', run = '' } of job.steps ?? []) {
        expect(uses).toMatch(/^actions\//)
        expect(run).not.toMatch(/\b(install|ci|npx|pnpm|run)\b(?!:)/)
      }
    }
  })
})

it('S7 the release publishes, after the tests of the workflow of CI', () => {
  const { jobs } = workflowAt('.github/workflows/release.yml')
  expect(Object.keys(jobs).filter((name) => mayPublish(jobs[name]!))).toEqual(['publish'])
  expect(jobs.test?.uses).toBe('./.github/workflows/ci.yml')
})

/** The jobs that have succeeded before a job begins. */
function ancestors(jobs: Workflow['jobs'], name: string): string[] {
  const needs = [jobs[name]?.needs ?? []].flat()
  return needs.flatMap((need) => [need, ...ancestors(jobs, need)])
}
