import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** Runs a command with this terminal's input and output; resolves to its exit code. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options })
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)))
  })
}

/** Runs the pnpm that `packageManager` pins, fetched by npx, so that nothing but Node and npm is needed. */
export function pnpm(args, options = {}) {
  const { packageManager } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
  return run('npx', ['--yes', packageManager, ...args], options)
}
