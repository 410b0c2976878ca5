import { chmodSync, mkdirSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { count, INVALID, maybe, objectOf, text } from '@spillway/kit/message'
import { ControlError } from '../errors.js'
import { readLines } from '../ipc/json-lines.js'
import { MOST_WORKERS } from '../options.js'

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

/** The commands of the control socket. */
export type Command = 'status' | 'reload' | 'scale' | 'stop' | 'reopen' | 'tls' | 'logs'

/** A client that is so far behind with reading is let go. Bytes. */
const MOST_BEHIND = 1024 * 1024

/** Clients at once; one more is turned away. */
const MOST_CLIENTS = 64

/** Most commands of one client that wait for an earlier one; the CLI sends one. */
const MOST_WAITING = 64

const command = objectOf({ command: maybe(text(50)), workers: maybe(count(MOST_WORKERS)) })

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
  readonly #following = new WeakSet<Socket>()

  constructor(path: string, controls: Controls) {
    this.#path = path
    this.#controls = controls
    this.#server = createServer((socket) => this.#welcome(socket))
    this.#server.maxConnections = MOST_CLIENTS
  }

  /** @throws ControlError `ERR_CLUSTER_CONTROL` when another supervisor answers there, or this process may not listen */
  async open(): Promise<void> {
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 })
    if (await answers(this.#path)) {
      throw new ControlError(`Another supervisor already listens on ${this.#path}`)
    }
    remove(this.#path)
    await new Promise<void>((resolve, reject) => {
      // Later errors report a client that could not be accepted, for want of descriptors: it can connect again.
      this.#server.on('error', (error) => reject(new ControlError(error.message)))
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
    // A client that disconnects loses only its own answer.
    socket.on('error', () => {})
    socket.once('close', () => this.#sockets.delete(socket))
    let waiting = 0
    let last = Promise.resolve()
    readLines(socket, (line) => {
      if (++waiting > MOST_WAITING) {
        socket.destroy()
        return
      }
      last = last.then(async () => {
        if (!socket.destroyed) await this.#answer(socket, line)
        waiting--
      })
    })
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    try {
      const request = command(JSON.parse(line))
      if (request === INVALID) throw new ControlError('The request is no command with valid arguments')
      if (request.command === 'logs') return this.#follow(socket)
      const result = await this.#run(request.command, request.workers)
      say(socket, { ok: true, result })
    } catch (error) {
      say(socket, { ok: false, error: error instanceof SyntaxError ? 'not JSON' : (error as Error).message })
    }
  }

  #run(command: string | undefined, workers: number | undefined): unknown {
    const controls = this.#controls
    switch (command) {
      case 'status':
        return controls.status()
      case 'reload':
        return controls.reload()
      case 'scale':
        return controls.scale(workers ?? 0)
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
    if (this.#following.has(socket)) throw new ControlError('The logs are followed already')
    this.#following.add(socket)
    const end = this.#controls.follow((line) => say(socket, line))
    socket.once('close', end)
    say(socket, { ok: true })
  }
}

function say(socket: Socket, value: unknown): void {
  if (!socket.writable) return
  if (socket.writableLength > MOST_BEHIND) socket.destroy()
  else socket.write(`${JSON.stringify(value)}\n`)
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
