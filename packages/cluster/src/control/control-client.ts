import { connect, type Socket } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ControlError } from '../errors.js'
import { readLines } from '../ipc/json-lines.js'
import type { Command } from './control-server.js'

/**
 * Where the supervisor of this name has its control socket: in `SPILLWAY_HOME`, else in the user's runtime directory, else
 * in `~/.spillway`.
 */
export function controlPath(name: string, env: NodeJS.ProcessEnv = process.env): string {
  const runtime = env.XDG_RUNTIME_DIR
  return join(
    env.SPILLWAY_HOME ?? (runtime ? join(runtime, 'spillway') : join(homedir(), '.spillway')),
    `${name}.sock`,
  )
}

/** Characters: the status of a thousand workers. */
const LONGEST_ANSWER = 16 * 1024 * 1024

/** One command, one answer. @throws ControlError `ERR_CLUSTER_CONTROL` */
export function command<T>(path: string, name: Command, args: object = {}): Promise<T> {
  return new Promise((resolve, reject) => {
    const socket = open(path, { command: name, ...args }, reject)
    // A supervisor that stops may be gone before its answer has come.
    socket.once('close', () => reject(new ControlError('The supervisor went away')))
    readLines(
      socket,
      (line) => {
        const answer = JSON.parse(line) as { ok: boolean; result: T; error: string }
        if (answer.ok) resolve(answer.result)
        else reject(new ControlError(answer.error))
        socket.end()
      },
      LONGEST_ANSWER,
    )
  })
}

/** Lines as they come, until the supervisor ends or `signal` aborts. */
export function follow(path: string, onLine: (line: unknown) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = open(path, { command: 'logs' }, reject)
    signal.addEventListener('abort', () => socket.destroy(), { once: true })
    let first = true
    readLines(
      socket,
      (line) => {
        if (!first) onLine(JSON.parse(line))
        first = false
      },
      LONGEST_ANSWER,
    )
    socket.once('close', () => resolve())
  })
}

function open(path: string, request: object, reject: (error: Error) => void): Socket {
  const socket = connect({ path })
  socket.once('error', (error: NodeJS.ErrnoException) => {
    const absent = error.code === 'ENOENT' || error.code === 'ECONNREFUSED'
    reject(new ControlError(absent ? `No supervisor listens on ${path}` : error.message))
  })
  socket.once('connect', () => socket.write(`${JSON.stringify(request)}\n`))
  return socket
}
