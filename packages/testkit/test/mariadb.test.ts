import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  eventually,
  type MariadbServer,
  type ReplicaPair,
  startMariadb,
  startReplicaPair,
} from '../src/index.js'

async function rows(server: MariadbServer, statement: string) {
  return (await server.query(statement))[0]
}

describe('a private MariaDB', () => {
  it('lets root in without a password, with a database called test and our arguments', async () => {
    await using mariadb = await startMariadb({ args: ['--wait-timeout=2'] })
    const sql =
      'SELECT DATABASE() AS name, CURRENT_USER() AS user, @@global.wait_timeout AS wait, @@port AS port'
    expect(await rows(mariadb, sql)).toEqual([
      { name: 'test', user: 'root@127.0.0.1', wait: 2, port: mariadb.port },
    ])
    const local = await createConnection({ socketPath: mariadb.socketPath, user: 'root' })
    await local.ping()
    await local.end()
  })

  it('is made while others are made, which share nothing with it', async () => {
    const servers = await Promise.all(Array.from({ length: 4 }, () => startMariadb()))
    const ids = await Promise.all(
      servers.map(async (each) => (await rows(each, 'SELECT @@port AS id'))?.[0]?.id),
    )
    expect(ids).toEqual(servers.map(({ port }) => port))
    await Promise.all(servers.map((each) => each[Symbol.asyncDispose]()))
  })

  it('keeps committed rows over a kill and loses them by restartEmpty', async () => {
    await using mariadb = await startMariadb()
    await mariadb.query('CREATE TABLE city (name VARCHAR(40))', "INSERT INTO city VALUES ('Lisbon')")
    await mariadb.kill()
    await mariadb.restart()
    expect(await rows(mariadb, 'SELECT name FROM city')).toEqual([{ name: 'Lisbon' }])
    await mariadb.restartEmpty()
    expect(await rows(mariadb, 'SHOW TABLES')).toEqual([])
  })
})

describe('a replica pair', () => {
  let pair: ReplicaPair

  beforeAll(async () => {
    pair = await startReplicaPair()
    await pair.primary.query('CREATE TABLE city (name VARCHAR(40))')
  })
  afterAll(() => pair?.[Symbol.asyncDispose]())

  const cities = async (server: MariadbServer) =>
    (await rows(server, 'SELECT name FROM city'))?.map((row) => row.name)

  it('replicates by GTID, and tells the client the GTID of its write', async () => {
    const connection = await createConnection(pair.primary.url())
    const [result] = await connection.query("INSERT INTO city VALUES ('Lisbon')")
    await connection.end()
    expect(result).toMatchObject({ stateChanges: { systemVariables: { last_gtid: await pair.gtid() } } })
    await pair.waitForReplica()
    expect(await cities(pair.replica)).toEqual(['Lisbon'])
    expect(await rows(pair.replica, 'SELECT @@gtid_slave_pos AS position')).toEqual([
      { position: await pair.gtid() },
    ])
  })

  it('is read-only for the app user, and strict about GTIDs', async () => {
    const app = await createConnection(pair.replica.url('app'))
    await expect(app.query("INSERT INTO city VALUES ('Porto')")).rejects.toMatchObject({
      code: 'ER_OPTION_PREVENTS_STATEMENT',
    })
    await app.end()
    for (const server of [pair.primary, pair.replica]) {
      expect(await rows(server, 'SELECT @@gtid_strict_mode AS strict')).toEqual([{ strict: 1 }])
    }
  })

  it('stays behind while replication is stopped, and catches up', async () => {
    await pair.replica.stopReplication()
    await pair.primary.query("INSERT INTO city VALUES ('Faro')")
    await expect(pair.waitForReplica(50)).rejects.toThrow(/The replica is at .*, not at/)
    expect(await cities(pair.replica)).not.toContain('Faro')
    await pair.replica.startReplication()
    await pair.waitForReplica()
    expect(await cities(pair.replica)).toContain('Faro')
  })

  it('lags by as much as it is told', async () => {
    await pair.replica.lag(3600)
    await pair.primary.query("INSERT INTO city VALUES ('Braga')")
    await eventually(async () => Number((await pair.replica.status()).SQL_Remaining_Delay) > 3000)
    expect(await cities(pair.replica)).not.toContain('Braga')
    await pair.replica.lag(0)
    await pair.waitForReplica()
    expect(await cities(pair.replica)).toContain('Braga')
  })

  it('finds its way back after a restart of either, and after losing all data', async () => {
    await Promise.all([pair.primary.restart(), pair.replica.kill()])
    await pair.replica.restart()
    await pair.primary.query("INSERT INTO city VALUES ('Evora')")
    await pair.waitForReplica()
    await pair.replica.rebuild()
    await pair.waitForReplica()
    expect(await cities(pair.replica)).toEqual(await cities(pair.primary))
  })
})
