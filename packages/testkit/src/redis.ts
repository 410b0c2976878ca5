import { Redis } from 'ioredis'
import { binary } from './binaries.js'
import { Server, type ServerOptions } from './server.js'

export interface RedisOptions extends ServerOptions {
  /**
   * Keep every write over a SIGKILL too, by an append-only file synced on each. Default: false: the data are saved on a
   * graceful stop, and lost by a kill.
   */
  readonly durable?: boolean
  /** Clients must say this password (`requirepass`), and replicas do. It stands in {@link RedisServer.url}. Default: none. */
  readonly password?: string | undefined
}

/** A private Redis server, with the URL `redis://127.0.0.1:<port>`. */
export class RedisServer extends Server {
  readonly password: string | undefined
  readonly #durable: boolean

  constructor({ durable = false, password, ...options }: RedisOptions = {}, name = 'redis') {
    super(name, options)
    this.password = password
    this.#durable = durable
  }

  protected commandLine(): readonly [string, ...string[]] {
    return [
      binary('redis'),
      ...['--port', String(this.port), '--bind', this.host, '--dir', this.folder, '--daemonize', 'no'],
      // A save point that never comes in a test, but makes Redis save when it is told to stop.
      ...['--save', '86400 1', '--appendonly', this.#durable ? 'yes' : 'no', '--appendfsync', 'always'],
      ...['--logfile', '', '--loglevel', 'notice', '--repl-diskless-sync-delay', '0'],
      ...(this.password === undefined ? [] : ['--requirepass', this.password, '--masterauth', this.password]),
      ...this.args,
    ]
  }

  protected isReady(): boolean {
    return this.hasLogged(/Ready to accept connections/)
  }

  url(): string {
    const user = this.password === undefined ? '' : `:${encodeURIComponent(this.password)}@`
    return `redis://${user}${this.host}:${this.port}`
  }

  /** Runs one command on a connection of its own, which is not retried. */
  async command(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const client = new Redis({
      host: this.host,
      port: this.port,
      ...(this.password === undefined ? {} : { password: this.password }),
      lazyConnect: true,
      enableReadyCheck: false,
      connectTimeout: 2000,
      commandTimeout: 5000,
      retryStrategy: () => null,
    })
    // What goes wrong reaches the caller through the promises below.
    client.on('error', () => {})
    try {
      await client.connect()
      return await client.call(name, ...args)
    } finally {
      client.disconnect()
    }
  }
}

/** Starts a private Redis. */
export function startRedis(options?: RedisOptions): Promise<RedisServer> {
  return new RedisServer(options).start()
}
