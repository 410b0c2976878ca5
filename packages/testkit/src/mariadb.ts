import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { binary } from './binaries.js'
import { Server, type ServerOptions } from './server.js'

export interface MariadbOptions extends ServerOptions {
  /** `innodb_flush_log_at_trx_commit`: 1 syncs on each commit, 2 leaves that to the kernel. Default: 2. */
  readonly flushLog?: 0 | 1 | 2
}

// Runs at each start, and must leave no trace in the binary log: a replica has the same from its own file.
const INIT = `
SET sql_log_bin = 0;
CREATE DATABASE IF NOT EXISTS test;
CREATE USER IF NOT EXISTS root@'127.0.0.1';
GRANT ALL PRIVILEGES ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS app@'127.0.0.1';
GRANT ALL PRIVILEGES ON test.* TO app@'127.0.0.1';
`

const run = promisify(execFile)

/**
 * A private MariaDB server with an empty database `test`. The user `root` may do everything and has no password; `app`
 * has none either and owns `test` only, so that `read_only` holds for it.
 */
export class MariadbServer extends Server {
  readonly #flushLog: number

  constructor({ flushLog = 2, ...options }: MariadbOptions = {}, name = 'mariadb') {
    super(name, options)
    this.#flushLog = flushLog
  }

  /** The path of the Unix socket. */
  get socketPath(): string {
    return join(this.folder, 'sock')
  }

  protected override async prepare(): Promise<void> {
    mkdirSync(join(this.folder, 'tmp'))
    writeFileSync(join(this.folder, 'init.sql'), INIT)
    const data = join(this.folder, 'data')
    await run(binary('mariadbInstallDb'), [
      // A server that starts removes the temporary tables it finds, and in a shared folder those of another one.
      '--no-defaults',
      `--datadir=${data}`,
      `--tmpdir=${join(this.folder, 'tmp')}`,
      `--user=${userInfo().username}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--skip-name-resolve',
      ...small(),
    ])
  }

  protected commandLine(): readonly [string, ...string[]] {
    return [
      binary('mariadb'),
      '--no-defaults',
      `--datadir=${join(this.folder, 'data')}`,
      `--tmpdir=${join(this.folder, 'tmp')}`,
      `--socket=${this.socketPath}`,
      `--pid-file=${join(this.folder, 'mariadbd.pid')}`,
      `--init-file=${join(this.folder, 'init.sql')}`,
      `--user=${userInfo().username}`,
      `--bind-address=${this.host}`,
      `--port=${this.port}`,
      '--skip-name-resolve',
      '--character-set-server=utf8mb4',
      `--innodb-flush-log-at-trx-commit=${this.#flushLog}`,
      '--innodb-buffer-pool-dump-at-shutdown=OFF',
      '--innodb-buffer-pool-load-at-startup=OFF',
      ...small(),
      ...this.args,
    ]
  }

  protected isReady(): boolean {
    return this.hasLogged(/ready for connections/)
  }

  /** `mysql://root@127.0.0.1:<port>/test` */
  url(user = 'root', database = 'test'): string {
    return `mysql://${user}@${this.host}:${this.port}/${database}`
  }

  /** Runs statements as root on a connection of its own; returns the rows (or the result) of each. */
  async query(...statements: readonly string[]): Promise<RowDataPacket[][]> {
    const connection = await createConnection({ uri: this.url(), supportBigNumbers: true })
    try {
      const results: RowDataPacket[][] = []
      for (const statement of statements)
        results.push((await connection.query<RowDataPacket[]>(statement))[0])
      return results
    } finally {
      await connection.end()
    }
  }
}

function small(): string[] {
  return [
    '--innodb-buffer-pool-size=16M',
    '--innodb-log-file-size=8M',
    '--aria-pagecache-buffer-size=8M',
    '--key-buffer-size=1M',
  ]
}

/** Starts a private MariaDB. */
export function startMariadb(options?: MariadbOptions): Promise<MariadbServer> {
  return new MariadbServer(options).start()
}
