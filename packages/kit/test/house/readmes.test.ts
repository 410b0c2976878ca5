import { describe, expect, it } from 'vitest'
import { exists, PUBLISHED, textOf } from './files.js'

/** The common template: a heading, or a word in one, in this order. */
const SECTIONS = [
  /express/i,
  /fastify/i,
  /koa/i,
  /options/i,
  /errors/i,
  /channels/i,
  /down|fail|dies/i,
  /benchmark/i,
]

/** Packages whose README has no benchmark yet. This list may only get shorter. */
const UNMEASURED: readonly string[] = []

describe.each(PUBLISHED)('the README of %s', (name) => {
  const path = `packages/${name}/README.md`
  const text = exists(path) ? textOf(path) : ''
  const lines = text.split('\n')
  const headings = lines.filter((line) => /^#{2,4} /.test(line))

  it('begins with the name and one sentence', () => {
    expect(lines[0]).toBe(`# @spillway/${name}`)
    expect(lines.slice(1, 6).some((line) => /^[A-Z].*[.:]$/.test(line))).toBe(true)
  })

  it('says how to install it, and has a quick start by line 20', () => {
    expect(text).toMatch(new RegExp(`npm (i|install) @spillway/${name}\\b`))
    const start = lines.findIndex((line) => /^```(ts|js)/.test(line))
    expect(start).toBeGreaterThan(0)
    expect(start).toBeLessThan(20)
    const code = lines.slice(start, lines.indexOf('```', start))
    expect(code.join('\n')).toContain(`@spillway/${name}`)
  })

  it.each(SECTIONS)('has a heading for %s', (section) => {
    const owed = section.source === 'benchmark' && UNMEASURED.includes(name)
    expect(owed || headings.some((heading) => section.test(heading))).toBe(true)
  })

  it('sorts the options in three tiers', () => {
    for (const tier of [/essential/i, /frequent/i, /rare/i]) expect(text).toMatch(tier)
  })

  it('says how to run its benchmark', () => {
    if (UNMEASURED.includes(name)) return
    expect(text).toMatch(new RegExp(`(npm run bench|pnpm bench|packages/bench/run\\.mjs)[ -]*${name}`))
  })

  it('is not the manual', () => {
    expect(lines.length).toBeGreaterThanOrEqual(120)
    expect(lines.length).toBeLessThanOrEqual(180)
  })

  it('has a page in the docs', () => {
    expect(exists(`docs/packages/${name}.md`)).toBe(true)
  })
})
