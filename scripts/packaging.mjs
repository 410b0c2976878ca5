// Packs every published package and looks at it as its users will: publint, attw, no private name in the types, and
// a fresh project that installs the tarballs, loads every entry as ESM, as CommonJS and under Jest with no framework
// there, and type-checks.
import { execFile } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './pnpm.mjs'

const temp = mkdtempSync(join(tmpdir(), 'spillway-packaging-'))
const problems = []

try {
  const packages = readdirSync(join(root, 'packages'))
    .map((name) => ({ name, folder: join(root, 'packages', name) }))
    .map((entry) => ({
      ...entry,
      manifest: JSON.parse(readFileSync(join(entry.folder, 'package.json'), 'utf8')),
    }))
    .filter(({ manifest }) => !manifest.private)
  for (const entry of packages) entry.tarball = await pack(entry)
  await inTurns(packages, 2, async (entry) => {
    await look(`${entry.name}: publint`, 'node_modules/.bin/publint', ['--strict', entry.tarball])
    await look(`${entry.name}: attw`, 'node_modules/.bin/attw', [entry.tarball, '--format', 'table'])
    privateNames(entry)
  })
  await consume(packages)
  console.log(
    problems.length === 0
      ? `${packages.length} packages pack, load and type-check as they should.`
      : problems.join('\n\n'),
  )
  process.exitCode = problems.length === 0 ? 0 : 1
} finally {
  rmSync(temp, { recursive: true, force: true })
}

async function pack({ name, folder, manifest }) {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  await look(`${name}: pack`, 'npx', ['--yes', packageManager, 'pack', '--pack-destination', temp], {
    cwd: folder,
  })
  return join(temp, `${manifest.name.replace('@', '').replace('/', '-')}-${manifest.version}.tgz`)
}

function privateNames({ name, folder }) {
  const files = readdirSync(join(folder, 'dist')).filter((file) => /\.d\.c?ts$/.test(file))
  for (const file of files) {
    const text = readFileSync(join(folder, 'dist', file), 'utf8')
    for (const secret of ['@spillway/kit', '@spillway/testkit', '@internal']) {
      if (text.includes(secret)) problems.push(`${name}: dist/${file} names the private ${secret}`)
    }
  }
}

/** A project of a user: the tarballs, nothing else; then the framework types beside them for the type-check. */
async function consume(packages) {
  const project = join(temp, 'consumer')
  mkdirSync(project)
  const dependencies = Object.fromEntries(
    packages.map(({ manifest, tarball }) => [manifest.name, `file:${tarball}`]),
  )
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, type: 'module', dependencies }),
  )
  await look('consumer: npm install', 'npm', ['install', '--no-audit', '--no-fund', '--prefer-offline'], {
    cwd: project,
  })
  const entries = packages.flatMap(({ manifest }) =>
    Object.keys(manifest.exports)
      .filter((key) => key !== './package.json')
      .map((key) => manifest.name + key.slice(1)),
  )
  cpSync(join(root, 'scripts/consumer'), project, { recursive: true })
  writeFileSync(join(project, 'entries.json'), JSON.stringify(entries))
  await look('consumer: load as ESM', process.execPath, ['esm.mjs'], { cwd: project })
  await look('consumer: load as CommonJS', process.execPath, ['cjs.cjs'], { cwd: project })
  for (const version of ['jest', 'jest29']) {
    const jest = join(root, 'node_modules', version, 'bin/jest.js')
    const args = [jest, '--ci', '--rootDir', project, '--testMatch', '**/*.test.cjs']
    await look(`consumer: load under ${version}`, process.execPath, args, { cwd: project })
  }

  const kit = join(root, 'packages/kit/node_modules')
  for (const name of ['express', 'fastify', 'koa', '@types/express', '@types/koa'])
    link(join(kit, name), project, name)
  link(join(root, 'packages/cache/node_modules/ioredis'), project, 'ioredis')
  link(join(root, 'node_modules/@types/node'), project, '@types/node')
  for (const file of ['app.ts', 'app.cts']) {
    const text = readFileSync(join(project, file), 'utf8')
    const unused = entries.filter((entry) => !text.includes(`'${entry}'`))
    if (unused.length > 0) problems.push(`scripts/consumer/${file} does not use ${unused.join(', ')}`)
  }
  for (const config of ['tsconfig.esm.json', 'tsconfig.cjs.json']) {
    await look(`consumer: ${config}`, join(root, 'node_modules/.bin/tsc'), ['-p', config], { cwd: project })
  }
}

function link(target, project, name) {
  const path = join(project, 'node_modules', name)
  mkdirSync(join(path, '..'), { recursive: true })
  rmSync(path, { recursive: true, force: true })
  symlinkSync(target, path)
}

/** Runs a command quietly; its output becomes a problem when it fails. */
function look(title, command, args, options = {}) {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: root, maxBuffer: 1 << 26, ...options }, (error, stdout, stderr) => {
      if (error) problems.push(`${title} failed\n${stdout}${stderr}`)
      resolve()
    })
  })
}

async function inTurns(items, width, work) {
  const queue = [...items]
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: width }, worker))
}
