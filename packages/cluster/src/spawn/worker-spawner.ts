import type { Worker } from 'node:cluster'
import type { Vacancy } from '../fleet/restart-queue.js'
import { type ListeningAddress, listeningAddress } from '../ipc/listening.js'
import { marked, remoteError } from '../ipc/messages.js'
import type { ResolvedSupervisorOptions } from '../options.js'
import { guardChannel } from './channel-guard.js'
import { DebugPorts } from './debug-ports.js'
import { fork } from './fork.js'
import { Stranded } from './unacked-connections.js'
import { watchReports } from './watchdog-reports.js'
import { WorkerProcess } from './worker-process.js'

export interface Parents {
  hear(worker: WorkerProcess, message: unknown, given: unknown): void
  listens(worker: WorkerProcess, address: ListeningAddress): void
  /** It is not ready, and its time is over. */
  late(worker: WorkerProcess): void
  gone(worker: WorkerProcess, code: number | null, signal: NodeJS.Signals | null): void
  /** Whether anybody takes connections. */
  serves(): boolean
}

type Env = Readonly<Record<string, string | undefined>>

/** Forks workers of the current generation and listens to them. */
export class Nursery {
  generation = 0
  /** The ports that `serve({ port: 0 })` was given, by the order of the calls. */
  readonly ports: (number | undefined)[] = []
  readonly #options: ResolvedSupervisorOptions
  readonly #parents: Parents
  readonly #debugPorts: DebugPorts
  #env: Env = {}
  #formerEnv: Env = {}

  constructor(options: ResolvedSupervisorOptions, parents: Parents) {
    this.#options = options
    this.#parents = parents
    this.#debugPorts = new DebugPorts(options.execArgv ?? process.execArgv)
  }

  /** From now on, workers are of the next generation. @throws what the user's `env` function throws */
  nextGeneration(): void {
    const { env } = this.#options
    const fresh = typeof env === 'function' ? env() : (env ?? {})
    this.generation++
    this.#formerEnv = this.#env
    this.#env = fresh
  }

  /** The new generation is no good: what is forked from now on gets the environment of the one before. */
  revert(): void {
    this.#env = this.#formerEnv
  }

  /** A worker in this place; `undefined` when it could not be forked, which `failed` tells more of in the next turn. */
  bear(
    { slot, streak }: Pick<Vacancy, 'slot' | 'streak'>,
    workers: number,
    now: number,
    failed: (error: NodeJS.ErrnoException) => void,
  ): WorkerProcess | undefined {
    const { generation, ports } = this
    const debugPort = this.#debugPorts.take()
    const handle = fork(
      this.#options,
      { env: this.#env, workers, slot, generation, ports, debugPort },
      failed,
    )
    if (handle === undefined) {
      this.#debugPorts.release(debugPort)
      return undefined
    }
    const { waitForReady: saysReady, startTimeout } = this.#options
    const worker = new WorkerProcess(handle, { generation, slot, streak, saysReady, now })
    const parents = this.#parents
    watchReports(worker)
    guardChannel(handle)
    this.#guard(handle)
    handle.on('message', (message: unknown, given: unknown) => {
      // `process.send('ready')`, as apps say it that were written for PM2's wait_ready.
      const said = saysReady && message === 'ready' ? marked({ type: 'ready', own: true }) : message
      parents.hear(worker, said, given)
    })
    handle.on('listening', (said: unknown) => {
      const address = listeningAddress(said)
      if (address !== undefined) parents.listens(worker, address)
    })
    handle.on('exit', (code: number | null, signal: NodeJS.Signals | null) => {
      this.#debugPorts.release(debugPort)
      parents.gone(worker, code, signal)
    })
    // A channel that breaks: the exit that follows says the rest.
    handle.on('error', (error: Error) => {
      worker.error ??= remoteError(error)
    })
    worker.after(startTimeout, () => {
      if (worker.state === 'starting') parents.late(worker)
    })
    return worker
  }

  /** When it is dead and its channel is closed, node:cluster gives it nothing more: then others get what it had not taken. */
  #guard(handle: Worker): void {
    const stranded = new Stranded(handle)
    const rescue = () => {
      if (handle.isDead() && !handle.isConnected()) stranded.rescue(this.#parents.serves())
    }
    handle.on('exit', rescue)
    handle.on('disconnect', rescue)
  }
}
