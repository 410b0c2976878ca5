// Builds every package and example whose sources changed since its last build.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from './pnpm.mjs'

const CACHE = join(root, 'node_modules/.cache/spillway/built')

export async function build() {
  const queue = ['packages', 'examples']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)))
    .filter((project) => existsSync(join(root, project, 'tsup.config.ts')))
  const shared = digest(['packages/kit/src', 'tsup.base.ts', 'tsconfig.base.json', 'pnpm-lock.yaml'])
  const failures = []
  const worker = async () => {
    for (let project = queue.shift(); project !== undefined; project = queue.shift()) {
      const failure = await buildProject(project, shared)
      if (failure) failures.push(failure)
    }
  }
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker))
  if (failures.length > 0) throw new Error(`The build failed.\n${failures.join('\n')}`)
}

async function buildProject(project, shared) {
  const folder = join(root, project)
  const wanted =
    shared + digest([join(project, 'src'), join(project, 'tsup.config.ts'), join(project, 'package.json')])
  const marker = join(CACHE, project.replace('/', '-'))
  if (existsSync(join(folder, 'dist')) && existsSync(marker) && readFileSync(marker, 'utf8') === wanted)
    return
  const tsup = join(root, 'node_modules/tsup/dist/cli-default.js')
  const { error, output } = await new Promise((resolve) => {
    execFile(process.execPath, [tsup], { cwd: folder, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ error, output: stdout + stderr }),
    )
  })
  if (error) return `${project}:\n${output}`
  console.log(`built ${project}`)
  mkdirSync(CACHE, { recursive: true })
  writeFileSync(marker, wanted)
}

/** One hash over files and folders, by path and content. */
function digest(paths) {
  const hash = createHash('sha256')
  const visit = (path) => {
    const full = join(root, path)
    if (!existsSync(full)) return
    if (statSync(full).isDirectory()) for (const name of readdirSync(full).sort()) visit(join(path, name))
    else hash.update(path).update(readFileSync(full))
  }
  for (const path of paths) visit(path)
  return hash.digest('hex')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await build().catch((error) => {
    console.error(error.message)
    process.exitCode = 1
  })
}
