import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MysqlPool } from '../../src/index.js'
import { type Answer, ScriptedServer } from '../scripted-server.js'

// An endpoint as proxies and demonstrations are: the text protocol only, no SET, no prepared statements.
function answer(sql: string): Answer {
  if (sql.startsWith("SELECT '")) return { rows: [{ a: 'x' }] }
  if (sql.startsWith('INSERT')) return { affectedRows: 1 }
  return { code: 1235, message: 'not supported' }
}

let server: ScriptedServer
beforeEach(async () => {
  server = await ScriptedServer.start({ version: '8.0.0-text', answer })
})
afterEach(() => server[Symbol.asyncDispose]())

describe('an endpoint with nothing but the text protocol', () => {
  it('is asked nothing but what the user asks, with session: false and prepared: false', async () => {
    const pool = new MysqlPool({
      uri: server.url,
      connectionLimit: 1,
      session: false,
      prepared: false,
      control: false,
    })
    expect((await pool.query("SELECT 'a', ?", ["it's"]))[0]).toEqual([{ a: 'x' }])
    expect((await pool.execute("SELECT 'b', ?", [2]))[0]).toEqual([{ a: 'x' }])
    expect((await pool.execute('INSERT INTO t VALUES (?)', [[1, 2]]))[0]).toMatchObject({ affectedRows: 1 })
    await pool.close()
    expect(server.seen).toEqual(["SELECT 'a', 'it''s'", "SELECT 'b', 2", 'INSERT INTO t VALUES (1, 2)'])
  })

  it('works without these options too, and says what it cannot do', async () => {
    const pool = new MysqlPool({ uri: server.url, connectionLimit: 1, prepared: false })
    const warnings: string[] = []
    pool.on('warning', ({ message }) => warnings.push(message))
    expect((await pool.query("SELECT 'a'"))[0]).toEqual([{ a: 'x' }])
    expect(warnings.join('\n')).toMatch(/no tracking of positions/)
    await pool.close()
  })
})
