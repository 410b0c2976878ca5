import type { Server } from 'node:net'
import type { Closable } from '@spillway/kit'

/** A running server. */
export interface Served extends Closable {
  readonly server: Server
  /** `undefined` on a unix socket. */
  readonly port: number | undefined
  /** Aborts when draining begins: the moment for endless responses (server-sent events) to end. */
  readonly draining: AbortSignal
  /** With the option `ready: false`: the process is ready from now on. */
  ready(): void
  /** Reads the certificates again. Keeps the old ones, and rejects, when key and certificate do not fit. */
  reloadTls(): Promise<void>
  stats(): ServedStats
  /** Removes the handlers for signals and crashes; closes nothing. */
  uninstall(): void
}

/** The phase of the process, and the counts of the server's requests and connections. */
export interface ServedStats {
  readonly phase: string
  readonly requests: number
  readonly active: number
  readonly connections: number
}
