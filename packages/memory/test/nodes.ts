import { execFileSync } from 'node:child_process'

/** Paths of other versions of Node, with a colon between. */
const others = (process.env.SPILLWAY_NODES ?? '').split(':').filter((path) => path !== '')

/** Versions of Node that a test of processes runs on: this one, and those of SPILLWAY_NODES. */
export const NODES = [process.execPath, ...others].map((path) => ({
  path,
  version: execFileSync(path, ['--version'], { encoding: 'utf8' }).trim(),
}))
