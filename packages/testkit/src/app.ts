import type { ChildProcess, StdioOptions } from 'node:child_process'
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { eventually } from './eventually.js'
import { HOST } from './ports.js'
import { isAlive, processTree } from './processes.js'
import { groupExists, killGroup, launch, makeFolder } from './watchdog.js'

export interface AppOptions {
  /** Arguments of the script. Default: none. */
  readonly args?: readonly string[]
  /** Added to our own environment; `undefined` removes a variable. Default: nothing. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Arguments of node itself, such as `--expose-gc`. Default: none. */
  readonly execArgv?: readonly string[]
  readonly cwd?: string
  /** `pipe` collects the lines; `inherit` shows them instead. Default: `pipe`. */
  readonly stdio?: 'pipe' | 'inherit'
  /** Open an IPC channel, for {@link App.send} and {@link App.waitForMessage}. Default: false. */
  readonly ipc?: boolean
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Line {
  readonly stream: 'stdout' | 'stderr'
  readonly text: string
}

export interface WaitOptions {
  /** Milliseconds. Default: 10000. */
  readonly timeout?: number
  /** Skip this many lines (messages) of those that have come already. Default: 0. */
  readonly since?: number
}

const PATIENCE = 10_000
// After an exit the last output may still be in the pipes; but children that live on keep those open.
const LAST_OUTPUT = 1000

/** A Node.js process running a script, in a process group that dies with the test process. */
export class App implements AsyncDisposable {
  /** What it has printed so far, line by line. */
  readonly lines: Line[] = []
  /** What it has sent over IPC so far. */
  readonly messages: unknown[] = []
  readonly pid: number
  /** Settles when it has ended, with the output complete (unless processes of its own live on and hold it). */
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess
  readonly #folder = makeFolder('app')
  #exit: Exit | undefined

  constructor(entry: string | URL, options: AppOptions = {}) {
    const { args = [], env = {}, execArgv = [], cwd, stdio = 'pipe', ipc = false } = options
    const script = entry instanceof URL ? fileURLToPath(entry) : entry
    const streams: StdioOptions = ['ignore', stdio, stdio, ...(ipc ? (['ipc'] as const) : [])]
    this.#child = launch(this.#folder, [process.execPath, ...execArgv, script, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: streams,
    })
    if (this.#child.pid === undefined) throw new Error(`${script} could not be launched`)
    this.pid = this.#child.pid
    this.#collect('stdout', this.#child.stdout)
    this.#collect('stderr', this.#child.stderr)
    this.#child.on('message', (message) => this.messages.push(message))
    this.exited = this.#ended()
  }

  #collect(stream: Line['stream'], source: Readable | null): void {
    if (source) createInterface({ input: source }).on('line', (text) => this.lines.push({ stream, text }))
  }

  #ended(): Promise<Exit> {
    return new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        const exit = { code, signal }
        this.#exit = exit
        // While there are processes in its group, the watchdog must know it.
        if (!groupExists(this.pid)) killGroup(this.#folder, this.pid)
        const late = setTimeout(() => resolve(exit), LAST_OUTPUT)
        this.#child.once('close', () => {
          clearTimeout(late)
          resolve(exit)
        })
      })
    })
  }

  /** All lines of one stream, or of both, as one text. */
  output(stream?: Line['stream']): string {
    const chosen = this.lines.filter((line) => stream === undefined || line.stream === stream)
    return chosen.map(({ text }) => text).join('\n')
  }

  /**
   * The first line (past or to come) that matches.
   *
   * @throws Error at the deadline or when the process ends without it, with its output
   */
  async waitForLine(
    pattern: RegExp,
    { timeout = PATIENCE, since = 0 }: WaitOptions = {},
  ): Promise<RegExpExecArray> {
    let next = since
    return this.#await(`a line like ${pattern}`, timeout, () => {
      for (; next < this.lines.length; next++) {
        const match = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')).exec(
          this.lines[next]?.text ?? '',
        )
        if (match) return match
      }
      return undefined
    })
  }

  /** The first IPC message (past or to come) that `fits`. */
  async waitForMessage<T>(
    fits: (message: unknown) => message is T,
    { timeout = PATIENCE, since = 0 }: WaitOptions = {},
  ): Promise<T> {
    return this.#await('a message', timeout, () => this.messages.slice(since).find(fits))
  }

  /** Waits until something listens on this port of 127.0.0.1. */
  async waitForPort(port: number, { timeout = PATIENCE }: WaitOptions = {}): Promise<void> {
    await this.#await(`port ${port}`, timeout, async () => ((await accepts(port)) ? true : undefined))
  }

  async #await<T>(
    what: string,
    timeout: number,
    find: () => T | undefined | Promise<T | undefined>,
  ): Promise<T> {
    const deadline = performance.now() + timeout
    for (;;) {
      // Looked up before the search: what an ended process has said is complete when the search begins.
      const ended = this.#exit && (await this.exited)
      const found = await find()
      if (found !== undefined) return found
      if (ended)
        throw new Error(`It ended (${ended.code ?? ended.signal}) without ${what}:\n${this.output()}`)
      if (performance.now() >= deadline) {
        throw new Error(`Not within ${timeout} ms: ${what}. It printed:\n${this.output()}`)
      }
      await sleep(10)
    }
  }

  /** Sends a message over IPC. */
  send(message: string | number | boolean | object): void {
    if (!this.#child.connected) throw new Error('No IPC channel is open: { ipc: true }')
    this.#child.send(message)
  }

  /** Sends a signal to the process itself, not to its children. Tells whether it was still there. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): boolean {
    return this.#child.kill(signal)
  }

  alive(): boolean {
    return this.#exit === undefined && isAlive(this.pid)
  }

  /** The ids of the process and of all below it, as long as it lives. */
  tree(): number[] {
    return processTree(this.pid)
  }

  /** SIGKILL to the process and everything in its group. Idempotent. */
  async stop(): Promise<void> {
    killGroup(this.#folder, this.pid)
    await this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await eventually(() => !groupExists(this.pid), { what: 'the end of all its processes' })
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: HOST })
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Runs a script in a Node.js process of its own. */
export function spawnApp(entry: string | URL, options?: AppOptions): App {
  return new App(entry, options)
}
