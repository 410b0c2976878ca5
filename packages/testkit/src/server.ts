import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, HOST } from './ports.js'
import { processState } from './processes.js'
import { killGroup, launch, makeFolder, signalGroup } from './watchdog.js'

export interface ServerOptions {
  /** More arguments for the server; they come last and win over ours. Default: none. */
  readonly args?: readonly string[]
  /** The port. Default: a free one. */
  readonly port?: number
}

const START_TIMEOUT = 30_000
const STOP_TIMEOUT = 15_000
const POLL = 10
const PORT_ATTEMPTS = 8
const ADDRESS_IN_USE = /address (is )?already in use|failed to listen/i

/**
 * A private server process on 127.0.0.1, with its data in a temporary folder. It dies with the test process.
 *
 * The data outlive {@link stop} and {@link kill}, so that {@link restart} finds them; they are removed on disposal
 * (`await using`) and when the test process ends.
 */
export abstract class Server implements AsyncDisposable {
  readonly host = HOST
  protected readonly stopSignal: NodeJS.Signals = 'SIGTERM'
  /** What only this server uses: data, sockets, log. */
  readonly folder: string
  #port: number
  readonly #portIsGiven: boolean
  protected readonly args: readonly string[]
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()
  #paused = false
  #logStart = 0

  constructor(
    readonly name: string,
    { args = [], port }: ServerOptions = {},
  ) {
    this.folder = makeFolder(name)
    this.args = args
    this.#port = port ?? 0
    this.#portIsGiven = port !== undefined
  }

  /** The program with its arguments. It must stay in the foreground. */
  protected abstract commandLine(): readonly [string, ...string[]]
  /** Whether the process that was launched last, and no other one, accepts connections. */
  protected abstract isReady(): boolean
  /** Where clients connect to. */
  abstract url(): string

  /** Makes the data folder of a server that starts empty. */
  protected prepare(): Promise<void> | void {}
  /** Writes what depends on the port; before each launch. */
  protected configure(): void {}
  protected environment(): NodeJS.ProcessEnv {
    return process.env
  }
  protected findPort(): Promise<number> {
    return freePort()
  }

  get port(): number {
    return this.#port
  }

  /** The server's own process. @throws Error while it does not run */
  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.name} does not run`)
    return pid
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  /** All it has printed, over restarts too. */
  log(): string {
    return readIfThere(join(this.folder, 'log')).toString()
  }

  /** Starts a server that does not run, on the port it had, with the data it had. Resolves when it is ready. */
  async start(): Promise<this> {
    if (this.running) throw new Error(`${this.name} runs already`)
    const first = this.#port === 0
    if (!hasData(this.folder)) await this.prepare()
    for (let attempt = 1; ; attempt++) {
      if (first) this.#port = await this.findPort()
      if (await this.#launch()) return this
      const log = this.#logOfThisLaunch()
      const canTryAgain = ADDRESS_IN_USE.test(log) && !this.#portIsGiven && attempt < PORT_ATTEMPTS
      if (!canTryAgain)
        throw new Error(`${this.name} did not start on port ${this.port}:\n${log.slice(-4000)}`)
      // A port that was ours before the restart comes back when its last connections are gone.
      if (!first) await sleep(250)
    }
  }

  async #launch(): Promise<boolean> {
    const logFile = join(this.folder, 'log')
    this.#logStart = readIfThere(logFile).length
    rmSync(this.readyFile, { force: true })
    this.configure()
    const output = openSync(logFile, 'a')
    const child = launch(this.folder, this.commandLine(), {
      cwd: this.folder,
      env: this.environment(),
      stdio: ['ignore', output, output],
    })
    closeSync(output)
    this.#child = child
    this.#paused = false
    this.#exited = new Promise((resolve) => {
      const gone = () => {
        if (child.pid !== undefined) killGroup(this.folder, child.pid)
        if (this.#child === child) this.#child = undefined
        resolve()
      }
      child.once('exit', gone)
      child.once('error', gone)
    })
    const deadline = performance.now() + START_TIMEOUT
    while (this.running && !this.isReady()) {
      if (performance.now() > deadline) {
        const log = this.#logOfThisLaunch()
        await this.kill()
        throw new Error(`${this.name} was not ready within ${START_TIMEOUT} ms:\n${log.slice(-4000)}`)
      }
      await sleep(POLL)
    }
    // A server that a test forgets must not keep the test process alive; the watchdog sees to the server.
    if (this.running) child.unref()
    return this.running
  }

  #logOfThisLaunch(): string {
    return readIfThere(join(this.folder, 'log')).subarray(this.#logStart).toString()
  }

  protected hasLogged(pattern: RegExp): boolean {
    return pattern.test(this.#logOfThisLaunch())
  }

  /** A file that a server writes when it listens, for those that do not say so in their log. */
  protected get readyFile(): string {
    return join(this.folder, 'ready')
  }

  protected hasReadyFile(): boolean {
    return existsSync(this.readyFile)
  }

  /** Stops it gracefully, and by SIGKILL after 15 s. The data stay for {@link restart}. Idempotent. */
  async stop(): Promise<void> {
    if (!this.running) return
    await this.resume()
    // A graceful stop is the master's to pass on; the other signals concern every process of the group.
    process.kill(this.pid, this.stopSignal)
    const late = setTimeout(() => this.#signal('SIGKILL'), STOP_TIMEOUT)
    await this.#gone()
    clearTimeout(late)
  }

  /** SIGKILL to the server and all its processes. Resolves when they are gone. The data stay. Idempotent. */
  async kill(): Promise<void> {
    if (!this.running) return
    this.#signal('SIGKILL')
    await this.#gone()
  }

  /** SIGSTOP: connections stay open, new ones are accepted by the kernel, nothing is answered. */
  async pause(): Promise<void> {
    const pid = this.pid
    this.#signal('SIGSTOP')
    this.#paused = true
    while (this.running && processState(pid) !== 'T') await sleep(1)
  }

  /** SIGCONT after {@link pause}. */
  async resume(): Promise<void> {
    if (!this.#paused) return
    this.#signal('SIGCONT')
    this.#paused = false
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Stops it when it runs, and starts it on the same port with the same data. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /** Kills it when it runs, and starts it on the same port without any data. */
  async restartEmpty(): Promise<void> {
    await this.kill()
    for (const entry of readdirSync(this.folder)) {
      if (entry !== 'log') rmSync(join(this.folder, entry), { recursive: true, force: true })
    }
    await this.start()
  }

  /** Kills it and removes its data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child?.pid !== undefined) signalGroup(this.#child.pid, signal)
  }

  async #gone(): Promise<void> {
    this.#child?.ref()
    await this.#exited
  }
}

function hasData(folder: string): boolean {
  return readdirSync(folder).some((entry) => entry !== 'log')
}

function readIfThere(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
}
