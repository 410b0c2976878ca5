import cluster, { type Worker } from 'node:cluster'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { ResolvedSupervisorOptions } from '../options.js'

/** What differs from worker to worker at a fork. */
export interface WorkerIdentity {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly workers: number
  readonly slot: number
  readonly generation: number
  /** The ports that `serve({ port: 0 })` was given, by the order of the calls. */
  readonly ports: readonly (number | undefined)[]
  /** For `--inspect` among the arguments of node. */
  readonly debugPort: number | undefined
}

/** The module that is loaded before the app in each worker. It stands beside this one in `dist`. */
function agentPath(): string {
  return fileURLToPath(new URL('./agent.cjs', import.meta.url))
}

/**
 * Forks one worker. Settings are set anew each time, because they belong to the whole primary.
 *
 * A fork that fails ends no primary: the result is `undefined`, and `failed` is told the error in the next turn. Node itself
 * has three ways to say so: it throws (ENOMEM and most others), it gives a process without a pid (EAGAIN, ENOENT), or one
 * that has not even a channel or streams (EMFILE, ENFILE), which must not be used.
 */
export function fork(
  options: ResolvedSupervisorOptions,
  born: WorkerIdentity,
  failed: (error: NodeJS.ErrnoException) => void,
): Worker | undefined {
  let worker: Worker
  try {
    worker = forked(options, born)
  } catch (error) {
    process.nextTick(failed, error as NodeJS.ErrnoException)
    return undefined
  }
  if (worker.process.pid !== undefined) return worker
  worker.once('error', failed)
  worker.on('error', () => {})
  for (const stream of worker.process.stdio ?? []) stream?.on('error', () => {})
  // node:cluster forgets a worker at its exit, and this one will have none: code that sends to all workers would fail on it.
  delete cluster.workers?.[worker.id]
  return undefined
}

function forked(options: ResolvedSupervisorOptions, born: WorkerIdentity): Worker {
  const { exec, args, execArgv = process.execArgv, cwd, logs, port } = options
  const agent = agentPath()
  const preload = existsSync(agent) ? ['--require', agent] : []
  const out = logs === false ? 'inherit' : 'pipe'
  cluster.schedulingPolicy = cluster.SCHED_RR
  cluster.setupPrimary({
    exec: exec === undefined ? (process.argv[1] ?? '') : pathOf(exec),
    args: [...(args ?? process.argv.slice(2))],
    execArgv: [...execArgv, ...preload],
    stdio: ['ignore', out, out, 'ipc', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
    ...(born.debugPort === undefined ? {} : { inspectPort: born.debugPort }),
  })
  return cluster.fork(
    withoutUndefined({
      ...born.env,
      ...(port === undefined || port === 0 ? {} : { PORT: String(port) }),
      SPILLWAY_WORKERS: String(born.workers),
      SPILLWAY_SUPERVISOR: String(process.pid),
      SPILLWAY_NAME: options.name,
      SPILLWAY_SLOT: String(born.slot),
      SPILLWAY_GENERATION: String(born.generation),
      SPILLWAY_SETTINGS: JSON.stringify({
        heartbeat: options.heartbeat === false ? false : options.heartbeat.interval,
        deadline: options.heartbeat === false ? false : options.heartbeat.deadline,
        watchdog: options.watchdog,
        adopt: options.adopt,
        drainTimeout: options.drain.timeout,
        cleanUp: options.drain.cleanUp,
        signal: options.drain.signal,
        shutdownMessage: options.shutdownMessage,
        sticky: options.sticky,
        ports: born.ports,
      }),
    }),
  )
}

function pathOf(file: string | URL): string {
  return file instanceof URL ? fileURLToPath(file) : file
}

/** `cluster.fork` would write the word "undefined" into the environment. */
function withoutUndefined(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}
