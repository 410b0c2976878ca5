import { userInfo } from 'node:os'
import { binary } from './binaries.js'
import { Server, type ServerOptions } from './server.js'

/** A private Memcached. It has no disk: every restart is empty. */
export class MemcachedServer extends Server {
  constructor(options: ServerOptions = {}) {
    super('memcached', options)
  }

  protected commandLine(): readonly [string, ...string[]] {
    return [
      binary('memcached'),
      ...['-p', String(this.port), '-l', this.host, '-U', '0', '-m', '64', '-u', userInfo().username],
      ...this.args,
    ]
  }

  protected override environment(): NodeJS.ProcessEnv {
    // Memcached writes its ports into this file once it listens on them.
    return { ...process.env, MEMCACHED_PORT_FILENAME: this.readyFile }
  }

  protected isReady(): boolean {
    return this.hasReadyFile()
  }

  /** `127.0.0.1:<port>`, the form Memcached clients take. */
  url(): string {
    return `${this.host}:${this.port}`
  }
}

/** Starts a private Memcached. */
export function startMemcached(options?: ServerOptions): Promise<MemcachedServer> {
  return new MemcachedServer(options).start()
}
