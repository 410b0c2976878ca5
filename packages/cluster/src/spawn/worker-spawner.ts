import type { Worker } from 'node:cluster'
import { type ListeningAddress, listeningAddress } from '../ipc/listening.js'
import { marked, remoteError } from '../ipc/messages.js'
import type { ResolvedSupervisorOptions } from '../options.js'
import { guardChannel } from './channel-guard.js'
import { DebugPorts } from './debug-ports.js'
import { fork } from './fork.js'
import { UnackedConnections } from './unacked-connections.js'
import { readWatchdogReports } from './watchdog-reports.js'
import { WorkerProcess } from './worker-process.js'

/** The events of the workers that a {@link WorkerSpawner} forks. */
export interface SpawnListener {
  onMessage(worker: WorkerProcess, message: unknown, given: unknown): void
  onListening(worker: WorkerProcess, address: ListeningAddress): void
  /** It is not ready, and its time is over. */
  onStartTimeout(worker: WorkerProcess): void
  onExit(worker: WorkerProcess, code: number | null, signal: NodeJS.Signals | null): void
  /** Whether a worker is there to take connections. */
  isServing(): boolean
}

type Env = Readonly<Record<string, string | undefined>>

/** Factory of worker processes: forks workers of the current generation and passes their events to its listener. */
export class WorkerSpawner {
  generation = 0
  /** The ports that `serve({ port: 0 })` was given, by the order of the calls. */
  readonly ports: (number | undefined)[] = []
  readonly #options: ResolvedSupervisorOptions
  readonly #listener: SpawnListener
  readonly #debugPorts: DebugPorts
  #env: Env = {}
  #formerEnv: Env = {}

  constructor(options: ResolvedSupervisorOptions, listener: SpawnListener) {
    this.#options = options
    this.#listener = listener
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

  /** Forks a worker into this slot. When that fails, returns `undefined`, and `failed` gets the error in the next turn. */
  spawn(
    { slot, streak }: { readonly slot: number; readonly streak: number },
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
    const listener = this.#listener
    readWatchdogReports(worker)
    guardChannel(handle)
    this.#guard(handle)
    handle.on('message', (message: unknown, given: unknown) => {
      // `process.send('ready')`, as apps say it that were written for PM2's wait_ready.
      const said = saysReady && message === 'ready' ? marked({ type: 'ready', own: true }) : message
      listener.onMessage(worker, said, given)
    })
    handle.on('listening', (said: unknown) => {
      const address = listeningAddress(said)
      if (address !== undefined) listener.onListening(worker, address)
    })
    handle.on('exit', (code: number | null, signal: NodeJS.Signals | null) => {
      this.#debugPorts.release(debugPort)
      listener.onExit(worker, code, signal)
    })
    // The channel has broken: the exit that follows reports the rest.
    handle.on('error', (error: Error) => {
      worker.error ??= remoteError(error)
    })
    worker.after(startTimeout, () => {
      if (worker.state === 'starting') listener.onStartTimeout(worker)
    })
    return worker
  }

  /** Once a worker is dead and its channel is closed, node:cluster sends it nothing: others get its unacked connections. */
  #guard(handle: Worker): void {
    const unacked = new UnackedConnections(handle)
    const release = () => {
      if (handle.isDead() && !handle.isConnected()) unacked.release(this.#listener.isServing())
    }
    handle.on('exit', release)
    handle.on('disconnect', release)
  }
}
