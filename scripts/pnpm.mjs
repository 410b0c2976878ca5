import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** What each signal to this process becomes for the command. Without its terminal (SIGHUP) the command is to end. */
const FORWARDED = { SIGINT: 'SIGINT', SIGTERM: 'SIGTERM', SIGHUP: 'SIGTERM' }

/**
 * Runs a command with this terminal's input and output; resolves to its exit code, which is 128 and the number of the signal
 * that ended it, as shells say it. The command gets each signal of this process once: it has a process group of its own,
 * since Ctrl-C would reach it by itself otherwise, and the second signal makes a supervisor give up waiting.
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', detached: true, ...options })
    const handlers = Object.entries(FORWARDED).map(([signal, becomes]) => [signal, () => child.kill(becomes)])
    for (const [signal, handler] of handlers) process.on(signal, handler)
    child.on('error', reject)
    child.once('close', (code, signal) => {
      for (const [name, handler] of handlers) process.off(name, handler)
      resolve(code ?? 128 + constants.signals[signal])
    })
  })
}

/** Runs the pnpm that `packageManager` pins, fetched by npx, so that nothing but Node and npm is needed. */
export function pnpm(args, options = {}) {
  const { packageManager } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
  return run('npx', ['--yes', packageManager, ...args], options)
}
