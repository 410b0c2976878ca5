import { binary } from './binaries.js'
import { Server, type ServerOptions } from './server.js'

export interface RedisOptions extends ServerOptions {
  /**
   * Keep every write over a SIGKILL too, by an append-only file synced on each. Default: false: the data are saved on a
   * graceful stop, and lost by a kill.
   */
  readonly durable?: boolean
}

/** A private Redis server, with the URL `redis://127.0.0.1:<port>`. */
export class RedisServer extends Server {
  readonly #durable: boolean

  constructor({ durable = false, ...options }: RedisOptions = {}, name = 'redis') {
    super(name, options)
    this.#durable = durable
  }

  protected command(): readonly [string, ...string[]] {
    return [
      binary('redis'),
      ...['--port', String(this.port), '--bind', this.host, '--dir', this.folder, '--daemonize', 'no'],
      // A save point that never comes in a test, but makes Redis save when it is told to stop.
      ...['--save', '86400 1', '--appendonly', this.#durable ? 'yes' : 'no', '--appendfsync', 'always'],
      ...['--logfile', '', '--loglevel', 'notice', '--repl-diskless-sync-delay', '0'],
      ...this.args,
    ]
  }

  protected isReady(): boolean {
    return this.hasLogged(/Ready to accept connections/)
  }

  url(): string {
    return `redis://${this.host}:${this.port}`
  }
}

/** Starts a private Redis. */
export function startRedis(options?: RedisOptions): Promise<RedisServer> {
  return new RedisServer(options).start()
}
