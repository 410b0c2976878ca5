import type { Server } from 'node:net'
import { type CloseOptions, closeOnce, drainWithin, durationMs } from '@spillway/kit'
import { remoteError } from '../ipc/messages.js'
import type { Drainable, FollowedServer, Runtime } from '../worker/runtime.js'
import { type ListenAddress, listen } from './listen-address.js'
import type { Served, ServedStats } from './served.js'
import { ServedServer } from './served-server.js'
import type { TlsFiles } from './tls-files.js'

/** How long each thing to close may take when `close()` is called. Milliseconds. */
const CLEAN_UP = 5_000

/** What a {@link ServedApp} is made of. */
export interface ServedAppParts {
  readonly index: number
  readonly files: TlsFiles | undefined
  /** The last first. */
  readonly closers: readonly (() => unknown)[]
  readonly undo: (() => void)[]
  readonly timeout: number
}

/** What `serve()` gives. */
export class ServedApp implements Served, Drainable {
  readonly server: Server
  port: number | undefined
  readonly close: (options?: CloseOptions) => Promise<void>
  readonly #host: Runtime
  readonly #parts: ServedAppParts
  readonly #served: FollowedServer
  #drained: Promise<number> | undefined
  #released: Promise<void> | undefined

  constructor(host: Runtime, server: Server, parts: ServedAppParts) {
    this.#host = host
    this.server = server
    this.#parts = parts
    this.#served = ServedServer.of(server, host)
    this.close = closeOnce(async ({ timeout, signal }) => {
      // Cutting the waiting short means cutting off what is waited for.
      signal?.addEventListener('abort', () => this.#served.cut(), { once: true })
      if (signal?.aborted) this.#served.cut()
      await this.drain(durationMs(timeout ?? parts.timeout) ?? parts.timeout)
      await this.release()
    })
  }

  get draining(): AbortSignal {
    return this.#host.life.draining.signal
  }

  async open(place: ListenAddress): Promise<void> {
    this.#parts.files?.watch(this.server)
    const sticky = this.#host.settings?.sticky
    if (sticky) await this.#host.listenSticky(this.#parts.index, this.server, sticky)
    else this.port = await listen(this.server, place)
    this.#host.servers.add(this)
  }

  ready(): void {
    this.onReady(true)
  }

  /** `own`: the app itself called `ready()`; otherwise its listener is open. */
  onReady(own: boolean): void {
    this.#host.ready(own, this.#parts.index, this.port)
  }

  async reloadTls(): Promise<void> {
    await this.#parts.files?.reload(this.server)
  }

  stats(): ServedStats {
    const { requests, active, count } = this.#served.connections
    return { phase: this.#host.life.phase, requests, active, connections: count }
  }

  uninstall(): void {
    for (const each of this.#parts.undo.splice(0)) each()
  }

  drain(timeout: number): Promise<number> {
    this.#drained ??= this.#drain(timeout)
    return this.#drained
  }

  /** Closes what was given for that, the last first. */
  release(patience = CLEAN_UP): Promise<void> {
    this.#released ??= this.#release(patience)
    return this.#released
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #drain(timeout: number): Promise<number> {
    const lost = await this.#served.drain(timeout)
    this.#host.servers.delete(this)
    this.#parts.files?.close()
    return lost
  }

  async #release(patience: number): Promise<void> {
    for (const closer of [...this.#parts.closers].reverse()) {
      await drainWithin(Promise.resolve().then(closer).catch(complain), { timeout: patience }, patience)
    }
    this.uninstall()
  }
}

function complain(error: unknown): void {
  const { stack, message } = remoteError(error)
  process.emitWarning(`A clean-up failed: ${stack ?? message}`, { code: 'SPILLWAY_CLUSTER_CLEANUP' })
}
