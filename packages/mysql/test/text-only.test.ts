import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { type Connection, createServer } from 'mysql2'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MysqlPool } from '../src/index.js'

// An endpoint as proxies and demonstrations are: the text protocol only, no SET, no prepared statements.
let server: Server
let url: string
const seen: string[] = []
const sockets = new Set<Socket>()

beforeEach(async () => {
  seen.length = 0
  const mysql = createServer((connection) => serve(connection)) as object as {
    listen(port: number, host: string): void
    _server: Server
  }
  mysql.listen(0, '127.0.0.1')
  server = mysql._server
  await once(server, 'listening')
  url = `mysql://root@127.0.0.1:${(server.address() as AddressInfo).port}/x`
})
afterEach(() => {
  server.close()
  for (const socket of sockets) socket.destroy()
  sockets.clear()
})

function serve(connection: Connection): void {
  const { stream } = connection as object as { stream: Socket }
  sockets.add(stream)
  connection.on('error', () => stream.destroy())
  connection.serverHandshake({
    protocolVersion: 10,
    serverVersion: '8.0.0-text',
    connectionId: 1,
    statusFlags: 2,
    characterSet: 45,
    capabilityFlags: 0x0008_a20f,
    authCallback: (_who: unknown, done: (error: null) => void) => {
      done(null)
      Object.assign(connection, { sequenceId: 0 })
    },
  })
  const reply = (write: () => void) => {
    Object.assign(connection, { sequenceId: 1 })
    write()
    Object.assign(connection, { sequenceId: 0 })
  }
  const refuse = (sql: string) => {
    seen.push(sql)
    reply(() => connection.writeError({ code: 1235, message: 'not supported' }))
  }
  connection.on('query', (sql: string) => {
    if (!/^(SELECT '|INSERT)/.test(sql)) return refuse(sql)
    seen.push(sql)
    if (sql.startsWith('INSERT')) reply(() => connection.writeOk({ affectedRows: 1, insertId: 5 }))
    else
      reply(() =>
        connection.writeTextResult(
          [{ a: 'x' }],
          [
            {
              catalog: 'def',
              schema: '',
              table: '',
              orgTable: '',
              name: 'a',
              orgName: 'a',
              characterSet: 45,
              columnLength: 255,
              columnType: 253,
              flags: 0,
              decimals: 0,
            },
          ],
        ),
      )
  })
  connection.on('stmt_prepare', (sql: string) => refuse(sql))
}

describe('an endpoint with nothing but the text protocol', () => {
  it('is asked nothing but what the user asks, with session: false and prepared: false', async () => {
    const pool = new MysqlPool({
      uri: url,
      connectionLimit: 1,
      session: false,
      prepared: false,
      control: false,
    })
    expect((await pool.query("SELECT 'a', ?", ["it's"]))[0]).toEqual([{ a: 'x' }])
    expect((await pool.execute("SELECT 'b', ?", [2]))[0]).toEqual([{ a: 'x' }])
    expect((await pool.execute('INSERT INTO t VALUES (?)', [[1, 2]]))[0]).toMatchObject({ affectedRows: 1 })
    await pool.close()
    expect(seen).toEqual(["SELECT 'a', 'it\\'s'", "SELECT 'b', 2", 'INSERT INTO t VALUES (1, 2)'])
  })

  it('works without these options too, and says what it cannot do', async () => {
    const pool = new MysqlPool({ uri: url, connectionLimit: 1, prepared: false })
    const warnings: string[] = []
    pool.on('warning', ({ message }) => warnings.push(message))
    expect((await pool.query("SELECT 'a'"))[0]).toEqual([{ a: 'x' }])
    expect(warnings.join('\n')).toMatch(/no tracking of positions/)
    await pool.close()
  })
})
