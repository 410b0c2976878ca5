import cluster from 'node:cluster'
import type { Server as HttpServer } from 'node:http'
import type { Server, Socket } from 'node:net'
import { drainWithin } from '@spillway/kit'
import { type Connector, detach, hasRoom, isConnector, placeName, sendable } from './handover.js'
import { type Journey, journeyIn } from './journey.js'
import { lifecycle } from './lifecycle.js'
import { type DrainReason, type FromWorker, isMarked, marked } from './messages.js'
import type { StickyOptions } from './options.js'
import { listenByProxy } from './receiver.js'

/** What the supervisor tells a worker through its environment. */
export interface WorkerSettings {
  /** Milliseconds between heartbeats. */
  readonly heartbeat: number | false
  readonly deadline: number | false
  readonly watchdog: boolean
  readonly adopt: boolean
  readonly drainTimeout: number
  readonly shutdownMessage: boolean
  /** Where the primary listens for this process. */
  readonly sticky: StickyOptions | false
  readonly ports: readonly (number | null | undefined)[]
}

/** Something with requests in flight. */
export interface Drainable {
  /** Takes nothing new, finishes, cleans up; resolves with the number of requests that were cut off. */
  drain(timeout: number): Promise<number>
  /** Reads its certificates again. */
  reloadTls?(): Promise<void>
}

/** A server whose connections are followed. */
export interface Watched extends Drainable {
  /** Ends the waiting for clients: what is left is cut off. */
  cut(): void
  readonly connections: {
    readonly requests: number
    readonly active: number
    readonly count: number
    receive(handle: Connector, used: boolean): void
  }
}

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

/** How long an app may clean up at a `shutdown` message before its process is ended. Milliseconds. */
const CLEAN_UP = 5_000

const KEY = Symbol.for('spillway.cluster.runtime')

/**
 * The worker's side: the servers of this process, the way to the supervisor, and the one way out. One per process, also
 * when the package is there twice; without a supervisor it is the same, only that nobody listens.
 */
export class Runtime {
  readonly life = lifecycle()
  readonly settings: WorkerSettings | undefined = settingsOf(process.env)
  readonly servers = new Set<Drainable>()
  /** Every server whose connections are followed, for {@link traffic}. */
  readonly watched = new Map<Server, Watched>()
  /** Names of servers whose listener is in the primary: behind a sticky one. */
  readonly #places = new Map<Server, string>()
  #pending = 0
  #left: Promise<number> | undefined
  #bye: (() => void) | undefined

  /** Whether a supervisor of ours has forked us, and is still there. */
  get supervised(): boolean {
    return this.settings !== undefined && process.connected
  }

  attach(): void {
    if (!this.supervised) return
    this.life.phase = 'starting'
    process.on('message', (message: unknown, handle: unknown) => this.#hear(message, handle))
    cluster.worker?.on('disconnect', () => {
      // node:cluster would end the process now; but there may be requests in flight.
      if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
      void this.exit({ reason: 'stop', delay: 0, timeout: this.settings?.drainTimeout ?? 0 }, 0)
    })
  }

  /** Resolves when it is on its way, or there is nobody to hear it. Messages keep their order, also with connections. */
  send(message: FromWorker): Promise<void> {
    return new Promise((resolve) => {
      // With a callback, a channel that breaks meanwhile is no 'error' event.
      if (this.supervised) process.send?.(marked(message), undefined, undefined, () => resolve())
      else resolve()
    })
  }

  /** A `serve()` has begun: not ready before it says so. */
  begin(): void {
    if (this.life.phase === 'ready' && this.servers.size === 0) this.life.phase = 'starting'
    this.#pending++
    this.send({ type: 'serving' })
  }

  /** One `serve()` is ready; when all are, so is the process. */
  ready(index?: number, port?: number): void {
    this.#pending = Math.max(0, this.#pending - 1)
    if (this.#pending > 0) return
    if (this.life.phase === 'starting') this.life.phase = 'ready'
    this.send({ type: 'ready', ...(index === undefined || port === undefined ? {} : { index, port }) })
  }

  /** A server listens that no `serve()` answers for. */
  listens(): void {
    if (this.#pending === 0 && this.life.phase === 'starting') this.life.phase = 'ready'
  }

  /** Drains and cleans up. Resolves with the number of requests that were cut off. The second call joins the first. */
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

  /** Leaves, says so, and ends the process. */
  async exit(request: LeaveRequest, code: number): Promise<void> {
    const lost = await this.leave(request)
    if (this.supervised) {
      // Connections that the primary was handing over when we closed come back to it first.
      const bye = new Promise<void>((resolve) => {
        this.#bye = resolve
      })
      await drainWithin(this.send({ type: 'drained', lost }), { timeout: LAST_MESSAGE }, LAST_MESSAGE)
      await drainWithin(bye, { timeout: BYE }, BYE)
    }
    if (this.settings?.shutdownMessage && code === 0) {
      process.emit('message', 'shutdown', undefined)
      await new Promise((resolve) => setTimeout(resolve, CLEAN_UP))
    }
    process.exit(lost > 0 && code === 0 ? 1 : code)
  }

  /** A server behind the sticky listener; the supervisor knows it by the number of its `serve()` call. */
  async stick(index: number, server: Server, at: StickyOptions): Promise<void> {
    this.#places.set(server, `sticky:${index}`)
    await listenByProxy(server, at)
  }

  /** What all servers of this process have to do, together. */
  traffic(): { requests: number; active: number; connections: number } {
    const sum = { requests: 0, active: 0, connections: 0 }
    for (const { connections } of this.watched.values()) {
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
    const place = this.#placeOf(server)
    const { maxRequestsPerSocket = 0 } = server as Partial<HttpServer>
    const bound = 'setSecureContext' in server || (maxRequestsPerSocket ?? 0) > 0
    if (!this.supervised || this.life.stopping || place === undefined || bound) return undefined
    return (socket, used) => {
      const handle = this.supervised ? detach(socket) : undefined
      if (handle === undefined) return false
      this.#handOver(handle, { place, used, tried: [] })
      return true
    }
  }

  #handOver(handle: Connector, journey: Journey): void {
    // Ours is closed when it is on its way.
    const sent = () => handle.close()
    if (this.supervised)
      process.send?.(marked({ type: 'handover', ...journey }), sendable(handle), undefined, sent)
    else sent()
  }

  #placeOf(server: Server): string | undefined {
    return this.#places.get(server) ?? placeName(server)
  }

  /** A connection that another process has accepted. */
  #connection(journey: Journey, handle: Connector): void {
    for (const [server, { connections }] of this.watched) {
      if (this.#placeOf(server) === journey.place && hasRoom(server)) {
        connections.receive(handle, journey.used)
        return
      }
    }
    // We have no such listener, or have begun to leave meanwhile: it is for another worker, if there is one to be tried.
    this.#handOver(handle, journey)
  }

  #hear(message: unknown, handle: unknown): void {
    if (!isMarked(message)) return
    const { type, reason, delay, timeout } = message
    if (type === 'bye') this.#bye?.()
    else if (type === 'drain') {
      void this.exit(
        {
          reason: reason === 'stop' ? 'stop' : 'replace',
          delay: Number(delay) || 0,
          timeout: Number(timeout) || 0,
        },
        0,
      )
    } else if (type === 'tls') {
      for (const server of this.servers) server.reloadTls?.()
    } else if (type === 'connection' && isConnector(handle)) {
      const journey = journeyIn(message)
      if (journey === undefined) handle.close()
      else this.#connection(journey, handle)
    }
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
