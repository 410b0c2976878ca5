import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { misuse } from '@spillway/kit'

let found: string | undefined

/**
 * Path of the script that runs in each thread. It stands beside the built package; when the package runs from its
 * sources, in `dist`.
 *
 * @throws Error `ERR_OFFLOAD_WORKER_FILE` when a bundler has moved the package away from it
 */
export function workerFile(): string {
  found ??= ['./worker.cjs', '../../dist/worker.cjs']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path))
  if (found === undefined) {
    throw misuse(
      Error,
      'ERR_OFFLOAD_WORKER_FILE',
      'The thread script of @spillway/offload is not beside the package: keep @spillway/offload and piscina external in your bundler',
    )
  }
  return found
}
