import type { Socket } from 'node:net'
import { defineOptions, func, list, pathOf, string } from '@spillway/kit'
import type { Priority } from '../shedding/load-shedder.js'

/** Options of `shedLoad`. `Request`: the request type of the framework. */
export interface ShedLoadOptions<Request> {
  /** Requests that are never refused. Default: none but `exempt`. */
  readonly skip?: (request: Request) => boolean
  /** Priority of a request: `0` is refused first, `2` never. Default: `1` for all. */
  readonly priority?: (request: Request) => Priority
  /** Paths that are never refused. Default: `/healthz`, `/livez`, `/readyz`, `/health`, `/metrics`. */
  readonly exempt?: readonly string[]
}

export const SHED_DEFAULTS = Object.freeze({
  exempt: Object.freeze(['/healthz', '/livez', '/readyz', '/health', '/metrics']),
  skip: (): boolean => false,
  priority: (): Priority => 1,
})

/** Resolved options: which requests always pass, and the priority of the others. Made once per adapter. */
export interface Gate<Request> {
  isExempt(target: string): boolean
  skip(request: Request): boolean
  priority(request: Request): Priority
}

const resolve = defineOptions(
  'memory',
  'shedLoad',
  { exempt: list(string()), skip: func(), priority: func() },
  SHED_DEFAULTS,
)

/** @throws TypeError `ERR_MEMORY_OPTION` */
export function gate<Request>(options: ShedLoadOptions<Request> = {}): Gate<Request> {
  const paths = new Set(resolve(options).exempt)
  const { skip = SHED_DEFAULTS.skip, priority = SHED_DEFAULTS.priority } = options
  return { isExempt: (target) => paths.has(pathOf(target)), skip, priority }
}

/** Whether the request is the first of its connection: nothing was written to it yet. */
export function isFresh(socket: Pick<Socket, 'bytesWritten'>): boolean {
  return socket.bytesWritten === 0
}
