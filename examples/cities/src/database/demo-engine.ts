import { once } from 'node:events'
import { createRequire } from 'node:module'
import type { AddressInfo, Server as NetServer, Socket } from 'node:net'
import { type Connection, createServer } from 'mysql2'
import type { Database as SqliteDatabase } from 'node-sqlite3-wasm'
import { allCities } from './data.js'
import { toSqlite } from './dialect.js'

export const DEMO_ENGINE_NOTE =
  "SQLite behind the MySQL protocol: shows pooling, deadlines, drain and metrics; not locks, replicas or MySQL's SQL"

const { Database } = createRequire(import.meta.url)('node-sqlite3-wasm') as {
  Database: new () => SqliteDatabase
}

// Of MySQL's protocol: the column types LONGLONG, DOUBLE and VAR_STRING, utf8mb4, and what a client may expect of us.
const TYPES = { integer: 8, real: 5, text: 253 }
const UTF8MB4 = 45
const AUTOCOMMIT = 2
const CAPABILITIES = 0x0008_a20f // long password, found rows, long flag, connect with db, 4.1 protocol, transactions, secure connection, plugin auth
const ER_PARSE_ERROR = 1064
const ER_NOT_SUPPORTED_YET = 1235

/** What mysql2's server is, and its types do not say. */
interface ListeningServer {
  listen(port: number, host: string): void
  readonly _server: NetServer
}

/**
 * A database for a machine that has none: an SQLite in memory that speaks as much of MySQL's text protocol as the
 * story app needs. For demonstrations only.
 */
export class DemoEngine {
  readonly #sqlite = new Database()
  readonly #server = createServer((connection) => this.#serve(connection)) as object as ListeningServer
  readonly #sockets = new Set<Socket>()
  readonly cities: number
  #nextConnection = 1

  constructor() {
    this.#sqlite.exec(`
      CREATE TABLE cities (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, country TEXT NOT NULL,
        lat REAL NOT NULL, lon REAL NOT NULL, population INTEGER NOT NULL
      );
      CREATE TABLE checkins (
        id INTEGER PRIMARY KEY AUTOINCREMENT, city_id INTEGER NOT NULL, who TEXT NOT NULL,
        at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
      );
    `)
    this.cities = this.#fill()
    this.#sqlite.exec(`
      CREATE INDEX by_name ON cities (name, population);
      CREATE INDEX by_place ON cities (lat, lon);
      CREATE INDEX by_city ON checkins (city_id);
    `)
  }

  /** Listens on a free port of 127.0.0.1 and returns the URL. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    const { _server: net } = this.#server
    await once(net, 'listening')
    return `mysql://root@127.0.0.1:${(net.address() as AddressInfo).port}/cities`
  }

  close(): void {
    this.#server._server.close()
    for (const socket of this.#sockets) socket.destroy()
    this.#sqlite.close()
  }

  #fill(): number {
    const cities = allCities()
    const insert = this.#sqlite.prepare('INSERT INTO cities VALUES (?, ?, ?, ?, ?, ?)')
    this.#sqlite.exec('BEGIN')
    for (const { id, name, country, lat, lon, population } of cities) {
      insert.run([id, name, country, lat, lon, population])
    }
    this.#sqlite.exec('COMMIT')
    insert.finalize()
    return cities.length
  }

  #serve(connection: Connection): void {
    const { stream } = connection as object as { stream: Socket }
    this.#sockets.add(stream)
    stream.once('close', () => this.#sockets.delete(stream))
    // Without it each answer waits for the client's delayed acknowledgement: 40 ms.
    stream.setNoDelay(true)
    connection.on('error', () => stream.destroy())
    connection.serverHandshake({
      protocolVersion: 10,
      serverVersion: '8.0.0-demo',
      connectionId: this.#nextConnection++,
      statusFlags: AUTOCOMMIT,
      characterSet: UTF8MB4,
      capabilityFlags: CAPABILITIES,
      // Everybody may in: it listens on 127.0.0.1, and holds public data.
      authCallback: (_who: unknown, done: (error: null) => void) => {
        done(null)
        Object.assign(connection, { sequenceId: 0 })
      },
    })
    connection.on('query', (sql: string) => reply(connection, () => this.#answer(connection, sql)))
    // mysql2 hands us SET under this name; prepared statements it asks for with the same one.
    connection.on('stmt_prepare', (sql: string) =>
      reply(connection, () => (/^\s*set\s/i.test(sql) ? connection.writeOk() : notSupported(connection))),
    )
    connection.on('ping', () => reply(connection, () => connection.writeOk()))
  }

  #answer(connection: Connection, sql: string): void {
    if (/^\s*(kill|rollback|use)\b/i.test(sql)) connection.writeOk()
    else if (/^\s*(begin|start|commit|lock|xa)\b/i.test(sql)) notSupported(connection)
    else this.#run(connection, sql)
  }

  #run(connection: Connection, sql: string): void {
    try {
      const own = toSqlite(sql)
      if (/^\s*(select|with|explain)\b/i.test(own)) {
        const rows = this.#sqlite.all(own)
        connection.writeTextResult(rows, columnsOf(rows))
      } else {
        const { changes, lastInsertRowid } = this.#sqlite.run(own)
        connection.writeOk({ affectedRows: changes, insertId: Number(lastInsertRowid) })
      }
    } catch (error) {
      connection.writeError({ code: ER_PARSE_ERROR, message: (error as Error).message })
    }
  }
}

/** A reply continues the numbering of the request's packet, which was 0; the next request begins at 0 again. */
function reply(connection: Connection, write: () => void): void {
  Object.assign(connection, { sequenceId: 1 })
  write()
  Object.assign(connection, { sequenceId: 0 })
}

function notSupported(connection: Connection): void {
  connection.writeError({
    code: ER_NOT_SUPPORTED_YET,
    message: `Not in the demo engine (${DEMO_ENGINE_NOTE})`,
  })
}

function columnsOf(rows: readonly object[]) {
  // SQLite names the columns of an empty result to nobody, and a result without any is not one.
  return Object.keys(rows[0] ?? { empty: null }).map((name) => {
    const values = rows.map((row) => (row as Record<string, unknown>)[name])
    const numbers = values.filter((value) => value !== null)
    const type = numbers.some((value) => typeof value === 'string')
      ? TYPES.text
      : numbers.every(Number.isInteger)
        ? TYPES.integer
        : TYPES.real
    return {
      catalog: 'def',
      schema: 'cities',
      table: '',
      orgTable: '',
      name,
      orgName: name,
      characterSet: UTF8MB4,
      columnLength: 255,
      columnType: type,
      flags: 0,
      decimals: 31,
    }
  })
}
