import { describe, it } from 'vitest'
import { FRAMEWORKS, type Framework } from './frameworks.js'

/** One promise of an adapter: a plain async function that rejects when it is broken. */
export interface Check {
  readonly title: string
  /** Default: every framework. */
  readonly only?: Framework
  run(framework: Framework): Promise<void>
}

/** Turns checks into tests: `describe(name) > describe(framework) > it(title)`. */
export function suite(
  name: string,
  checks: readonly Check[],
  frameworks: readonly Framework[] = FRAMEWORKS,
): void {
  describe(name, () => {
    for (const framework of frameworks) {
      describe(framework, () => {
        for (const { title, run } of checksOf(checks, framework)) it(title, () => run(framework))
      })
    }
  })
}

/** Runs the checks on one framework and gives the titles of those that fail. */
export async function failures(checks: readonly Check[], framework: Framework): Promise<string[]> {
  const titles: string[] = []
  for (const { title, run } of checksOf(checks, framework)) {
    await run(framework).catch(() => titles.push(title))
  }
  return titles
}

function checksOf(checks: readonly Check[], framework: Framework): readonly Check[] {
  return checks.filter(({ only }) => only === undefined || only === framework)
}
