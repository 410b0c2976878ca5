import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pnpm, root } from './pnpm.mjs'

const MARKER = join(root, 'node_modules/.cache/spillway/installed')

/**
 * Installs with the frozen lockfile, unless what is installed already matches it. `everything: false` leaves out
 * the peers that only benchmarks need, and the documentation site.
 */
export async function ensureInstalled({ everything }) {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .digest('hex')
  const [installed, extent] = existsSync(MARKER) ? readFileSync(MARKER, 'utf8').split(' ') : []
  if (installed === wanted && (extent === 'everything' || !everything)) return
  const filter = everything ? [] : ['--filter', '!@spillway/bench', '--filter', '!@spillway/docs']
  const code = await pnpm(['install', '--frozen-lockfile', '--reporter=append-only', ...filter])
  if (code !== 0) throw new Error(`pnpm install failed with exit code ${code}.`)
  mkdirSync(join(MARKER, '..'), { recursive: true })
  writeFileSync(MARKER, `${wanted} ${everything ? 'everything' : 'some'}`)
}
