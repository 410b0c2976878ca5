import { chmodSync, mkdirSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { ControlError } from './errors.js'
import { readLines } from './lines.js'

/** What a control socket can be asked for. */
export interface Controls {
  status(): unknown
  reload(): Promise<unknown>
  scale(workers: number): Promise<unknown>
  stop(): Promise<unknown>
  reopen(): unknown
  tls(): unknown
  /** Calls back with each line of output; returns the end of it. */
  follow(listener: (line: unknown) => void): () => void
}

export type Command = 'status' | 'reload' | 'scale' | 'stop' | 'reopen' | 'tls' | 'logs'

/** A reader of logs that is so far behind is let go. Bytes. */
const MOST_BEHIND = 1024 * 1024

/**
 * Commands to a supervisor, as JSON lines on a unix socket that only its owner can open: the file has mode 0600, the
 * folder 0700, and both from the first moment on.
 *
 * `{"command":"scale","workers":4}` is answered by `{"ok":true,"result":...}` or `{"ok":false,"error":"..."}`.
 */
export class ControlServer {
  readonly #path: string
  readonly #controls: Controls
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(path: string, controls: Controls) {
    this.#path = path
    this.#controls = controls
    this.#server = createServer((socket) => this.#welcome(socket))
  }

  /** @throws ControlError `ERR_CLUSTER_CONTROL` when another supervisor answers there, or we may not listen */
  async open(): Promise<void> {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 })
    if (await answers(this.#path)) {
      throw new ControlError(`Another supervisor already listens on ${this.#path}`)
    }
    remove(this.#path)
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error) => reject(new ControlError(error.message)))
      const former = process.umask(0o177)
      this.#server.listen(this.#path, () => resolve())
      process.umask(former)
    })
    chmodSync(this.#path, 0o600)
    this.#server.unref()
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroySoon()
  }

  #welcome(socket: Socket): void {
    this.#sockets.add(socket)
    socket.unref()
    // A client that goes away in the middle is none of our concern.
    socket.on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
    readLines(socket, (line) => void this.#answer(socket, line))
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    try {
      const request: unknown = JSON.parse(line)
      const { command, workers } = (request ?? {}) as { command?: unknown; workers?: unknown }
      if (command === 'logs') return this.#follow(socket)
      const result = await this.#run(command, workers)
      say(socket, { ok: true, result })
    } catch (error) {
      say(socket, { ok: false, error: error instanceof SyntaxError ? 'not JSON' : (error as Error).message })
    }
  }

  #run(command: unknown, workers: unknown): unknown {
    const controls = this.#controls
    switch (command) {
      case 'status':
        return controls.status()
      case 'reload':
        return controls.reload()
      case 'scale':
        return controls.scale(Number(workers))
      case 'stop':
        return controls.stop()
      case 'reopen':
        return controls.reopen()
      case 'tls':
        return controls.tls()
      default:
        throw new ControlError(`There is no command ${JSON.stringify(command) ?? 'without a name'}`)
    }
  }

  #follow(socket: Socket): void {
    const end = this.#controls.follow((line) => {
      if (socket.writableLength > MOST_BEHIND) socket.destroy()
      else say(socket, line)
    })
    socket.once('close', end)
    say(socket, { ok: true })
  }
}

function say(socket: Socket, value: unknown): void {
  if (socket.writable) socket.write(`${JSON.stringify(value)}\n`)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}

/** What a crash has left behind. */
function remove(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new ControlError((error as Error).message)
  }
}
