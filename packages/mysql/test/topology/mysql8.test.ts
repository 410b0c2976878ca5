import { eventually } from '@spillway/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MysqlPool } from '../../src/index.js'
import { type Answer, ScriptedServer } from '../scripted-server.js'

/*
 * No MySQL 8 is at hand, so this pair says what its manual says it would: GTIDs in OK packets, `gtid_executed`,
 * WAIT_FOR_EXECUTED_GTID_SET, and a good-bye before an idle connection is closed.
 */

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562'
let written = 0
let applied = 0
let gap = ''
let primary: ScriptedServer
let replica: ScriptedServer
let pool: MysqlPool

const common = (sql: string): Answer | undefined => {
  if (/^(SET|DO) /.test(sql)) return { affectedRows: 0 }
  if (sql.includes('@@max_prepared_stmt_count'))
    return { rows: [{ statements: '16382', quiet: '28800', mode: 'STRICT_TRANS_TABLES', undoes: '0' }] }
  return sql === 'SELECT 1 AS up' ? { rows: [{ up: '1' }] } : undefined
}

function asPrimary(sql: string): Answer {
  if (sql.includes('@@read_only'))
    return { rows: [{ admins: '0', engine: '0', position: written === 0 ? '' : `${UUID}:1-${written}` }] }
  if (sql.startsWith('INSERT')) return { affectedRows: 1, gtid: `${UUID}:${++written}` }
  return common(sql) ?? { rows: [{ who: 'primary' }] }
}

function asReplica(sql: string): Answer {
  if (sql.includes('@@read_only'))
    return { rows: [{ admins: '1', engine: '0', position: `${UUID}:1-${applied}${gap}` }] }
  if (sql.includes('WAIT_FOR_EXECUTED_GTID_SET')) {
    applied = Number(/:1-(\d+)'/.exec(sql)?.[1])
    return { rows: [{ state: '0' }] }
  }
  return common(sql) ?? { rows: [{ who: 'replica' }] }
}

beforeEach(async () => {
  written = applied = 5
  gap = ''
  primary = await ScriptedServer.start({ version: '8.0.36', answer: asPrimary })
  replica = await ScriptedServer.start({ version: '8.0.36', answer: asReplica })
  // The probe is slow, so that a position is known by a wait, and not by chance.
  pool = new MysqlPool({
    primary: primary.url,
    replicas: [replica.url],
    reads: { probe: '1h', wait: '5s' },
    prepared: false,
  })
  await eventually(() => pool.stats().nodes[1]!.lagMs === 0)
})
afterEach(async () => {
  await pool.close({ timeout: 0 })
  await Promise.all([primary, replica].map((server) => server[Symbol.asyncDispose]()))
})

const who = async (session: MysqlPool | ReturnType<MysqlPool['session']> = pool) =>
  (await session.one('SELECT who FROM t'))?.who

describe('a pair that speaks as MySQL 8 does', () => {
  it('tells positions by GTID, and is waited for by GTID', async () => {
    expect(await who()).toBe('replica')
    expect(primary.seen.concat(replica.seen).join('\n')).toContain("session_track_gtids = 'OWN_GTID'")
    const session = pool.session()
    await session.query('INSERT INTO t VALUES (1)')
    expect(session.token).toBe(`${UUID}:6`)
    expect(await who(session)).toBe('replica')
    expect(replica.seen).toContain(`SELECT WAIT_FOR_EXECUTED_GTID_SET('${UUID}:1-6', 5) AS state`)
    // Known from then on.
    const asked = replica.seen.length
    expect(await who(pool.session({ token: session.token }))).toBe('replica')
    expect(replica.seen.slice(asked)).toEqual(['SELECT who FROM t'])
  })

  it('is not trusted to have what lies before the number of a gap', async () => {
    written = applied = 4
    gap = ':9-12'
    await using other = new MysqlPool({
      primary: primary.url,
      replicas: [replica.url],
      reads: { probe: 20, wait: 0, maxLag: '1h' },
      prepared: false,
    })
    await eventually(() => other.stats().nodes[1]!.position === `${UUID}:4`)
    expect(await who(other.session())).toBe('replica')
    written = 11
    const session = other.session()
    await session.query('INSERT INTO t VALUES (1)')
    expect(session.token).toBe(`${UUID}:12`)
    expect(await who(session)).toBe('primary')
  })

  it('an idle connection that was dismissed with an error packet is replaced', async () => {
    await pool.query('INSERT INTO t VALUES (1)')
    const { connections } = primary
    primary.dismiss(4031, 'The client was disconnected by the server because of inactivity.')
    await eventually(() => pool.stats().nodes[0]!.lost === 1)
    await pool.query('INSERT INTO t VALUES (2)')
    expect(primary.connections).toBeGreaterThan(connections)
    expect(pool.stats()).toMatchObject({ errors: 0 })
  })
})
