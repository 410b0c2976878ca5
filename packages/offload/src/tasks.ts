// Ready tasks: this module runs in the threads, and makes the callers' side of it.

import type { Offloader } from './offloader.js'
import type { TaskOptions } from './options.js'
import { brotli, gunzip, gzip } from './ready/compression.js'
import { parseCsv } from './ready/csv.js'
import { pickJson } from './ready/json.js'
import { hashPassword, verifyPassword } from './ready/password.js'
import type { TasksOf } from './task.js'

export type { CompressInput, GunzipInput } from './ready/compression.js'
export type { CsvTable, ParseCsvInput } from './ready/csv.js'
export type { PickJsonInput } from './ready/json.js'
export type { HashPasswordInput, VerifyPasswordInput } from './ready/password.js'
export { brotli, gunzip, gzip, hashPassword, parseCsv, pickJson, verifyPassword }

interface Ready {
  readonly brotli: typeof brotli
  readonly gunzip: typeof gunzip
  readonly gzip: typeof gzip
  readonly hashPassword: typeof hashPassword
  readonly parseCsv: typeof parseCsv
  readonly pickJson: typeof pickJson
  readonly verifyPassword: typeof verifyPassword
}

export type ReadyTasks = TasksOf<Ready>

/**
 * The ready tasks, on an offloader of yours. Only work that is worth the way to a thread is here; from which size on,
 * the package's documentation shows.
 *
 * ```ts
 * const { gzip, hashPassword, parseCsv } = readyTasks(offloader)
 * const hash = await hashPassword({ password })
 * ```
 */
export function readyTasks(offloader: Offloader, options: TaskOptions = {}): ReadyTasks {
  return offloader.tasks<Ready>(new URL(import.meta.url), options)
}
