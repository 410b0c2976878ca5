// `pnpm bench [package] [text in the title]`: runs packages/bench/<package>/*.bench.mjs, prints each table and
// writes it between the markers of docs/benchmarks.md.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { runScenario } from './harness.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const report = join(here, '../../docs/benchmarks.md')
const [only, filter = ''] = process.argv.slice(2)
const packages = readdirSync(here, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== 'node_modules')
  .map((entry) => entry.name)
  .filter((name) => only === undefined || name === only)
if (packages.length === 0) {
  console.error(`There is no benchmark called ${only}.`)
  process.exit(1)
}

for (const name of packages) {
  const sections = []
  for (const file of readdirSync(join(here, name))
    .filter((file) => file.endsWith('.bench.mjs'))
    .sort()) {
    const url = pathToFileURL(join(here, name, file)).href
    const { scenarios } = await import(url)
    for (const [index, scenario] of scenarios.entries()) {
      if (!scenario.title.includes(filter)) continue
      const rows = await runScenario(url, index, scenario)
      const section = table(scenario, rows)
      sections.push(section)
      console.log(`\n${section}`)
    }
  }
  if (filter === '') writeSection(name, sections)
}

function table(scenario, rows) {
  const figures = [...new Set(rows.flatMap(Object.keys))].filter(
    (key) => !['name', 'ratio', 'perSecond', 'cpuUs'].includes(key),
  )
  const head = ['', 'per second', `ratio to ${scenario.baseline}`, 'CPU us each', ...figures]
  const body = rows.map((row) => [
    row.name,
    compact(row.perSecond),
    row.ratio.toFixed(2),
    row.cpuUs.toFixed(2),
    ...figures.map((figure) => (row[figure] === undefined ? '' : compact(row[figure]))),
  ])
  const line = (cells) => `| ${cells.join(' | ')} |`
  const note = scenario.note ? `\n${scenario.note}\n` : ''
  return [
    `### ${scenario.title}`,
    note,
    line(head),
    line(head.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...body.map(line),
    '',
  ].join('\n')
}

function compact(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)}M`
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)}k`
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toPrecision(3)
}

function writeSection(name, sections) {
  const versions = Object.keys(createRequire(import.meta.url)('./package.json').dependencies)
    .filter((dependency) => sections.join().includes(dependency))
    .map((dependency) => `${dependency} ${version(dependency)}`)
  const machine = `Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, ${new Date().toISOString().slice(0, 10)}. Command: \`pnpm bench ${name}\`.${versions.length ? ` Peers: ${versions.join(', ')}.` : ''}`
  const open = `<!-- bench:${name} -->`
  const close = `<!-- /bench:${name} -->`
  const text = readFileSync(report, 'utf8')
  const block = `${open}\n${machine}\n\n${sections.join('\n')}\n${close}`
  const start = text.indexOf(open)
  const end = text.indexOf(close)
  const next =
    start === -1
      ? `${text.trimEnd()}\n\n## @spillway/${name}\n\n${block}\n`
      : text.slice(0, start) + block + text.slice(end + close.length)
  writeFileSync(report, next)
}

function version(dependency) {
  try {
    return JSON.parse(readFileSync(join(here, 'node_modules', dependency, 'package.json'), 'utf8')).version
  } catch {
    return ''
  }
}
