// `npm test [-- vitest arguments]`: installs, provides the servers, builds, checks and tests. The last line counts.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from './build.mjs'
import { ensureInstalled } from './install.mjs'
import { root, run } from './pnpm.mjs'

const RESULTS = join(root, 'node_modules/.cache/spillway/tests.json')
const given = process.argv.slice(2)
let passed = 0
let failed = 0

async function step(title, work) {
  console.log(`\n> ${title}`)
  try {
    const code = await work()
    if (code) throw new Error(`${title}: exit code ${code}`)
    return true
  } catch (error) {
    console.error(error.message)
    return false
  }
}

async function check(title, work) {
  if (await step(title, work)) passed++
  else failed++
}

const ready =
  (await step('install', () => ensureInstalled({ everything: true }))) &&
  (await step('servers', () => run(process.execPath, ['packages/testkit/provision.mjs']))) &&
  (await step('build', build))

if (!ready) failed++
else {
  if (given.length === 0) {
    await check('lint', () => run('node_modules/.bin/biome', ['ci', '.']))
    await check('typecheck', () => run('node_modules/.bin/tsc', ['-p', 'tsconfig.json']))
    await check('packaging', () => run(process.execPath, ['scripts/packaging.mjs']))
  }
  rmSync(RESULTS, { force: true })
  mkdirSync(join(RESULTS, '..'), { recursive: true })
  const tests = await step('tests', () =>
    run('node_modules/.bin/vitest', [
      'run',
      '--config=vitest.workspace.ts',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${RESULTS}`,
      ...given,
    ]),
  )
  const counts = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : {}
  passed += counts.numPassedTests ?? 0
  failed += counts.numFailedTests ?? 0
  // A file that fails to load, or an unhandled error, fails the run without failing a test.
  if (!tests && !counts.numFailedTests) failed++
}

console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
