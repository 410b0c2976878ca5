import cluster from 'node:cluster'
import type { Server as HttpServer } from 'node:http'
import type { Server, Socket } from 'node:net'
import { drainWithin } from '@spillway/kit'
import { type DrainReason, type FromWorker, fromSupervisor, marked } from '../ipc/messages.js'
import { listenerName, type Transfer } from '../ipc/transfer.js'
import {
  type ConnectionHandle,
  detach,
  hasRoom,
  isConnectionHandle,
  sendable,
} from '../node-internals/handles.js'
import { listenByProxy } from '../node-internals/proxy-listener.js'
import type { StickyOptions } from '../options.js'
import { lifecycle } from './lifecycle.js'
import { ShutdownHooks } from './shutdown-hooks.js'

/** What the supervisor tells a worker through its environment. */
export interface WorkerSettings {
  /** Milliseconds between heartbeats. */
  readonly heartbeat: number | false
  readonly deadline: number | false
  readonly watchdog: boolean
  readonly adopt: boolean
  readonly drainTimeout: number
  /** Milliseconds for each of the app's own last steps. */
  readonly cleanUp: number
  readonly signal: 'SIGTERM' | 'SIGINT' | false
  readonly shutdownMessage: boolean
  /** Where the primary listens for this process. */
  readonly sticky: StickyOptions | false
  readonly ports: readonly (number | null | undefined)[]
}

/** A server that can finish its requests in flight. */
export interface Drainable {
  /** Takes nothing new and finishes; resolves with the number of requests that were cut off. */
  drain(timeout: number): Promise<number>
  /** After the drain of all: closes what belongs to it. */
  release?(patience: number): Promise<void>
  /** Reads its certificates again. */
  reloadTls?(): Promise<void>
}

/** A server with its {@link Connections}. */
export interface FollowedServer extends Drainable {
  /** Ends the waiting for clients: what is left is cut off. */
  cut(): void
  readonly connections: {
    readonly requests: number
    readonly active: number
    readonly count: number
    receive(handle: ConnectionHandle, used: boolean): void
  }
}

/** How a worker is to drain. */
export interface LeaveRequest {
  readonly reason: DrainReason
  /** Milliseconds of readiness 503 before the listener closes. */
  readonly delay: number
  /** Milliseconds; beyond it, what is left is cut off. */
  readonly timeout: number
}

/** How long to wait for the supervisor's `bye` once it has our last message. Milliseconds. */
const BYE = 2_000

/** How long that may take: behind thousands of connections that are handed over. Milliseconds. */
const LAST_MESSAGE = 30_000

/** How long each of an app's own last steps may take, without a supervisor that says otherwise. Milliseconds. */
const CLEAN_UP = 5_000

/** The numbers of the signals, which their listeners are given. */
const NUMBERS = { SIGTERM: 15, SIGINT: 2 } as const

const KEY = Symbol.for('spillway.cluster.runtime')

/**
 * The worker's side: the servers of this process, the way to the supervisor, and the one way out. One per process, also
 * when the package is there twice; without a supervisor it works alike, and sends no messages.
 */
export class Runtime {
  readonly life = lifecycle()
  readonly settings: WorkerSettings | undefined = settingsOf(process.env)
  readonly servers = new Set<Drainable>()
  /** The followed servers, by the server itself; {@link traffic} sums their counts. */
  readonly followed = new Map<Server, FollowedServer>()
  /** The names of the servers behind a sticky listener, which stands in the primary. */
  readonly #stickyNames = new Map<Server, string>()
  readonly shutdownHooks = new ShutdownHooks()
  #pending = 0
  #left: Promise<number> | undefined
  #exit: Promise<void> | undefined
  #code = 0
  #bye: (() => void) | undefined

  /** Whether a `Supervisor` has forked this process, and its channel is open. */
  get supervised(): boolean {
    return this.settings !== undefined && process.connected
  }

  /** Whether the process is on its way out. */
  get leaving(): boolean {
    return this.#exit !== undefined
  }

  attach(): void {
    if (!this.supervised) return
    this.life.phase = 'starting'
    const onMessage = (message: unknown, handle: unknown) => this.#onMessage(message, handle)
    process.on('message', onMessage)
    this.shutdownHooks.exempt(onMessage)
    cluster.worker?.on('disconnect', () => {
      // node:cluster would end the process now; but there may be requests in flight.
      if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
      void this.exit({ reason: 'stop', delay: 0, timeout: this.settings?.drainTimeout ?? 0 }, 0)
    })
  }

  /** Resolves when the message is sent, or at once without a supervisor. Messages and connections keep their order. */
  send(message: FromWorker): Promise<void> {
    return new Promise((resolve) => {
      // With a callback, a channel that breaks meanwhile is no 'error' event.
      if (this.supervised) process.send?.(marked(message), undefined, undefined, () => resolve())
      else resolve()
    })
  }

  /** A `serve()` has begun: the process is not ready before that `serve()` is. */
  begin(): void {
    if (this.life.phase === 'ready' && this.servers.size === 0) this.life.phase = 'starting'
    this.#pending++
    this.send({ type: 'serving' })
  }

  /** One `serve()` is ready; when all are, so is the process. `own`: the app itself called `ready()`. */
  ready(own: boolean, index?: number, port?: number): void {
    this.#pending = Math.max(0, this.#pending - 1)
    if (this.#pending > 0) return
    if (this.life.phase === 'starting') this.life.phase = 'ready'
    this.send({ type: 'ready', own, ...(index === undefined || port === undefined ? {} : { index, port }) })
  }

  /** A server listens that no `serve()` answers for. */
  onListening(): void {
    if (this.#pending === 0 && this.life.phase === 'starting') this.life.phase = 'ready'
  }

  /** Drains. Resolves with the number of requests that were cut off. The second call joins the first. */
  leave({ reason, delay, timeout }: LeaveRequest): Promise<number> {
    this.#left ??= (async () => {
      this.life.stopping = reason === 'stop'
      this.life.phase = 'leaving'
      if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay))
      this.life.phase = 'draining'
      this.life.draining.abort()
      const lost = await Promise.all([...this.servers].map((server) => server.drain(timeout)))
      return lost.reduce((sum, each) => sum + each, 0)
    })()
    return this.#left
  }

  /**
   * Drains, reports that to the supervisor, lets the app clean up, and ends the process. The first of several calls decides
   * how to drain; the highest exit code counts.
   */
  exit(request: LeaveRequest, code: number): Promise<void> {
    this.#code = Math.max(this.#code, code)
    this.#exit ??= this.#end(request)
    return this.#exit
  }

  async #end(request: LeaveRequest): Promise<void> {
    const servers = [...this.servers]
    const lost = await this.leave(request)
    if (this.supervised) {
      // Connections that the primary was handing over when we closed come back to it first.
      const bye = new Promise<void>((resolve) => {
        this.#bye = resolve
      })
      await drainWithin(this.send({ type: 'drained', lost }), { timeout: LAST_MESSAGE }, LAST_MESSAGE)
      await drainWithin(bye, { timeout: BYE }, BYE)
    }
    await this.#cleanUp(servers)
    if (this.#code === 0 && (lost > 0 || this.shutdownHooks.failed)) this.#code = 1
    // The app may have set its own exit code by then.
    process.exit(this.#code === 0 ? undefined : this.#code)
  }

  /** Calls the app's shutdown hooks. After a crash they may do harm: only the entries of `serve({ close })` are closed. */
  async #cleanUp(servers: readonly Drainable[]): Promise<void> {
    const { shutdownMessage = false, signal = false, cleanUp = CLEAN_UP } = this.settings ?? {}
    const asks = this.settings !== undefined && this.#code === 0
    if (asks && shutdownMessage) await this.shutdownHooks.ask('message', ['shutdown'], cleanUp)
    else if (asks && signal !== false) {
      const other = signal === 'SIGTERM' ? 'SIGINT' : 'SIGTERM'
      const name = this.shutdownHooks.listeners(signal).length > 0 ? signal : other
      await this.shutdownHooks.ask(name, [name, NUMBERS[name]], cleanUp)
    }
    for (const server of servers) await server.release?.(cleanUp)
    if (!asks) return
    await this.shutdownHooks.ask('disconnect', [], cleanUp)
    await this.shutdownHooks.ask('beforeExit', [0], cleanUp)
  }

  /** A server behind the sticky listener; the supervisor knows it by the number of its `serve()` call. */
  async listenSticky(index: number, server: Server, at: StickyOptions): Promise<void> {
    this.#stickyNames.set(server, `sticky:${index}`)
    await listenByProxy(server, at)
  }

  /** What all servers of this process have to do, together. */
  traffic(): { requests: number; active: number; connections: number } {
    const sum = { requests: 0, active: 0, connections: 0 }
    for (const { connections } of this.followed.values()) {
      sum.requests += connections.requests
      sum.active += connections.active
      sum.connections += connections.count
    }
    return sum
  }

  /**
   * How to hand connections of a server to another worker, if that can be: there must be a supervisor, the service must not
   * be about to stop, and nothing that belongs to a connection may live in this process only, as the state of TLS does, or
   * the count for `maxRequestsPerSocket`.
   */
  mover(server: Server): ((socket: Socket, used: boolean) => boolean) | undefined {
    const listener = this.#listenerNameOf(server)
    const { maxRequestsPerSocket = 0 } = server as Partial<HttpServer>
    const bound = 'setSecureContext' in server || (maxRequestsPerSocket ?? 0) > 0
    if (!this.supervised || this.life.stopping || listener === undefined || bound) return undefined
    return (socket, used) => {
      const handle = this.supervised ? detach(socket) : undefined
      if (handle === undefined) return false
      this.#handOver(handle, { listener, used, tried: [] })
      return true
    }
  }

  #handOver(handle: ConnectionHandle, transfer: Transfer): void {
    // Ours is closed when it is on its way.
    const sent = () => handle.close()
    if (this.supervised)
      process.send?.(marked({ type: 'handover', ...transfer }), sendable(handle), undefined, sent)
    else sent()
  }

  #listenerNameOf(server: Server): string | undefined {
    return this.#stickyNames.get(server) ?? listenerName(server)
  }

  /** A connection that another process has accepted. */
  #connection(transfer: Transfer, handle: ConnectionHandle): void {
    for (const [server, { connections }] of this.followed) {
      if (this.#listenerNameOf(server) === transfer.listener && hasRoom(server)) {
        connections.receive(handle, transfer.used)
        return
      }
    }
    // We have no such listener, or have begun to leave meanwhile: it is for another worker, if there is one to be tried.
    this.#handOver(handle, transfer)
  }

  #onMessage(message: unknown, handle: unknown): void {
    const said = fromSupervisor(message)
    if (said?.type === 'bye') this.#bye?.()
    else if (said?.type === 'drain') void this.exit(said, 0)
    else if (said?.type === 'tls') {
      for (const server of this.servers) server.reloadTls?.()
    } else if (said?.type === 'connection' && isConnectionHandle(handle)) this.#connection(said, handle)
  }
}

type Holder = { [KEY]?: Runtime }

/** The runtime of this process. */
export function runtime(): Runtime {
  const holder = globalThis as Holder
  return (holder[KEY] ??= new Runtime())
}

function settingsOf(env: NodeJS.ProcessEnv): WorkerSettings | undefined {
  // A grandchild inherits the environment, but it is not our worker.
  if (!cluster.isWorker || env.SPILLWAY_SUPERVISOR !== String(process.ppid)) return undefined
  try {
    return JSON.parse(env.SPILLWAY_SETTINGS ?? '') as WorkerSettings
  } catch {
    return undefined
  }
}
