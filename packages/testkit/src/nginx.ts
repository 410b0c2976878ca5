import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { binary } from './binaries.js'
import { Server, type ServerOptions } from './server.js'

export interface NginxContext {
  /** 127.0.0.1 */
  readonly host: string
  /** The port to listen on: `` `server { listen ${host}:${port}; ... }` `` */
  readonly port: number
  /** A folder of this server, for logs and caches. */
  readonly folder: string
}

/**
 * What stands in the `http { }` block. As plain text, `{{host}}`, `{{port}}` and `{{folder}}` are filled in.
 */
export type NginxConfig = string | ((context: NginxContext) => string)

// All that the packaged nginx would put under /var stays in the server's own folder.
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/** A private nginx, with the URL `http://127.0.0.1:<port>`. */
export class NginxServer extends Server {
  protected override readonly stopSignal = 'SIGQUIT'
  readonly #config: NginxConfig

  constructor(config: NginxConfig, options: ServerOptions = {}) {
    super('nginx', options)
    this.#config = config
  }

  get #file(): string {
    return join(this.folder, 'nginx.conf')
  }

  protected override prepare(): void {
    mkdirSync(join(this.folder, 'tmp'))
  }

  protected override configure(): void {
    const context: NginxContext = { host: this.host, port: this.port, folder: this.folder }
    const http =
      typeof this.#config === 'function'
        ? this.#config(context)
        : this.#config.replace(/\{\{(host|port|folder)\}\}/g, (_, name: keyof NginxContext) =>
            String(context[name]),
          )
    writeFileSync(this.#file, frame(http, this.folder, this.readyFile))
  }

  protected commandLine(): readonly [string, ...string[]] {
    // nginx opens a log of its own before it has read its configuration: -e says where.
    return [binary('nginx'), '-p', this.folder, '-e', 'stderr', '-c', this.#file, ...this.args]
  }

  /** nginx writes its process id once it listens. */
  protected isReady(): boolean {
    return this.hasReadyFile()
  }

  url(path = ''): string {
    return `http://${this.host}:${this.port}${path}`
  }

  /** Reads the configuration again (a function is called again) and replaces the workers gracefully. */
  reload(): void {
    this.configure()
    process.kill(this.pid, 'SIGHUP')
  }
}

function frame(http: string, folder: string, pidFile: string): string {
  const root = process.getuid?.() === 0
  return `daemon off;
${root ? `user ${userInfo().username};` : ''}
worker_processes 1;
pid ${pidFile};
error_log stderr notice;
events { worker_connections 1024; }
http {
  access_log off;
  ${TEMPORARY.map((name) => `${name}_temp_path ${join(folder, 'tmp', name)};`).join('\n  ')}
${http}
}
`
}

/** Starts a private nginx. @throws Error with what nginx says about a wrong configuration */
export function startNginx(config: NginxConfig, options?: ServerOptions): Promise<NginxServer> {
  return new NginxServer(config, options).start()
}
