import type { Server } from 'node:net'
import type { Closable } from '@spillway/kit'

/** A running server. */
export interface Served extends Closable {
  readonly server: Server
  /** `undefined` on a unix socket. */
  readonly port: number | undefined
  /** Aborts when draining begins: the moment for endless responses (server-sent events) to end. */
  readonly draining: AbortSignal
  /** With `ready: false`: now it is. */
  ready(): void
  /** Reads the certificates again. Keeps the old ones, and rejects, when the new ones are no good. */
  reloadTls(): Promise<void>
  stats(): ServedStats
  /** Takes the handlers for signals and crashes away again; does not close. */
  uninstall(): void
}

export interface ServedStats {
  readonly phase: string
  readonly requests: number
  readonly active: number
  readonly connections: number
}
