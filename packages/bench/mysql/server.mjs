import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { locate } from '../../testkit/provision.mjs'

/** Rows of the table `item`; every contender checks what it reads. */
export const ROWS = 10_000

/**
 * One MariaDB for all contenders: started by the process that runs the benchmark, which hands its port to the processes of
 * the contenders in the environment. A contender's process starts nothing.
 */
export async function database() {
  if (process.env.BENCH_MYSQL_PORT === undefined) process.env.BENCH_MYSQL_PORT = String(await startMariadb())
  return { host: '127.0.0.1', port: Number(process.env.BENCH_MYSQL_PORT), user: 'root', database: 'test' }
}

/** The same with a replica that follows by GTID; servers of their own, since a binary log costs something. */
export async function pair() {
  if (process.env.BENCH_MYSQL_PAIR === undefined) {
    const logging = (id) => [
      `--server-id=${id}`,
      '--log-bin=binlog',
      '--log-slave-updates',
      '--gtid-strict-mode=1',
      '--session-track-system-variables=autocommit,last_gtid',
    ]
    const primary = await startMariadb(logging(1))
    const replica = await startMariadb([...logging(2), '--read-only=1'], (connection) =>
      follow(connection, primary),
    )
    process.env.BENCH_MYSQL_PAIR = `${primary},${replica}`
  }
  const [primary, replica] = process.env.BENCH_MYSQL_PAIR.split(',').map((port) => ({
    host: '127.0.0.1',
    port: Number(port),
    user: 'root',
    database: 'test',
  }))
  return { primary, replica }
}

async function startMariadb(args = [], begin = fill) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-mariadb-'))
  const { username } = userInfo()
  const common = ['--no-defaults', `--datadir=${folder}`, `--tmpdir=${folder}`, `--user=${username}`]
  execFileSync(
    locate('mariadbInstallDb'),
    [...common, '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve'],
    { stdio: 'ignore' },
  )
  const port = await freePort()
  const server = spawn(
    locate('mariadb'),
    [
      ...common,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(folder, 'socket')}`,
      '--skip-name-resolve',
      '--innodb-flush-log-at-trx-commit=2',
      ...args,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  process.once('exit', () => {
    server.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  for await (const line of createInterface(server.stderr)) if (line.includes('ready for connections')) break
  server.stderr.resume()
  server.unref()
  server.stderr.unref?.()
  const { createConnection } = await import('mysql2/promise')
  const connection = await createConnection({ host: '127.0.0.1', port, user: 'root' })
  await begin(connection)
  await connection.end()
  return port
}

async function fill(connection) {
  await connection.query('CREATE DATABASE IF NOT EXISTS test')
  await connection.query('USE test')
  await connection.query(
    'CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(50), price DECIMAL(10, 2), stock INT)',
  )
  await connection.query(
    `INSERT INTO item SELECT seq, CONCAT('item ', seq), seq / 100, seq MOD 97 FROM seq_1_to_${ROWS}`,
  )
}

/** Has everything of the primary when it is done. */
async function follow(connection, primary) {
  await connection.query(
    `CHANGE MASTER TO master_host='127.0.0.1', master_port=${primary}, master_user='root', master_use_gtid=slave_pos`,
  )
  await connection.query('START SLAVE')
  const { createConnection } = await import('mysql2/promise')
  const source = await createConnection({ host: '127.0.0.1', port: primary, user: 'root' })
  const [[{ position }]] = await source.query('SELECT @@gtid_binlog_pos AS position')
  await source.end()
  const [[{ state }]] = await connection.query(`SELECT MASTER_GTID_WAIT('${position}', 30) AS state`)
  if (state !== 0) throw new Error(`the replica did not reach ${position}`)
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}
