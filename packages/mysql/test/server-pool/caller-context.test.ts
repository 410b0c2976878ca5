import { AsyncLocalStorage } from 'node:async_hooks'
import { heardInRequests } from '@spillway/kit/testing'
import { type MariadbServer, startMariadb } from '@spillway/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MysqlPool } from '../../src/index.js'

/** Connections are handed from call to call; each call is told of in the context of its own request. */

const REQUESTS = Array.from({ length: 12 }, (_, request) => request)

let server: MariadbServer
beforeAll(async () => {
  server = await startMariadb()
})
afterAll(() => server?.[Symbol.asyncDispose]())

const sorted = (requests: readonly (number | undefined)[]) => [...requests].sort((a, b) => a! - b!)

describe('T6 the context of a call', () => {
  it('T6 is its own request, of 12 at once that wait for 2 connections: 0 orphans', async () => {
    await using pool = new MysqlPool({ uri: server.url(), connectionLimit: 2, slowQuery: 1 })
    await pool.query('SELECT 1')
    const channels = ['spillway:mysql:acquire', 'spillway:mysql:query', 'spillway:mysql:slow']
    const heard = await heardInRequests(channels, 12, async (request) => {
      await pool.query('SELECT SLEEP(0.005)')
      await pool.execute('SELECT ? AS request', [request])
    })
    const on = (name: string) => heard.filter(({ channel }) => channel === name).map(({ request }) => request)
    expect(sorted(on('spillway:mysql:query'))).toEqual(REQUESTS.flatMap((request) => [request, request]))
    expect(sorted(on('spillway:mysql:acquire'))).toEqual(REQUESTS.flatMap((request) => [request, request]))
    expect(new Set(on('spillway:mysql:slow'))).toEqual(new Set(REQUESTS))
  })

  it("T6 is its own request for the driver's channels too", async () => {
    await using pool = new MysqlPool({ uri: server.url(), connectionLimit: 2 })
    await pool.query('SELECT 1')
    const channels = ['tracing:mysql2:query:start', 'tracing:mysql2:execute:start']
    const heard = await heardInRequests(channels, 12, async (request) => {
      await pool.query('SELECT SLEEP(0.002)')
      await pool.execute('SELECT ? AS request', [request])
    })
    const on = (name: string) =>
      heard
        .filter(({ channel, message }) => channel === name && /SLEEP|request/.test(JSON.stringify(message)))
        .map(({ request }) => request)
    expect(sorted([...on(channels[0]!), ...on(channels[1]!)])).toEqual(
      REQUESTS.flatMap((request) => [request, request]),
    )
  })

  it('T6 is its own request, of 12 that are stopped at their deadline', async () => {
    await using pool = new MysqlPool({ uri: server.url(), connectionLimit: 12, timeout: 100 })
    const heard = await heardInRequests(['spillway:mysql:kill'], 12, () =>
      pool.query('SELECT SLEEP(20)').catch(() => {}),
    )
    await expect.poll(() => pool.stats().nodes[0]!.active).toBe(0)
    expect(heard.map(({ request }) => request)).not.toContain(undefined)
    expect(new Set(heard.map(({ request }) => request)).size).toBe(heard.length)
    expect(heard.length).toBeGreaterThan(0)
  })

  it('T6 is its own request, of 12 that gave up waiting', async () => {
    await using pool = new MysqlPool({ uri: server.url(), connectionLimit: 1, acquireTimeout: 50 })
    const storage = new AsyncLocalStorage<string>()
    await storage.run('holder', () =>
      pool.withConnection(async () => {
        const heard = await heardInRequests(['spillway:mysql:acquire'], 12, () =>
          pool.query('SELECT 1', [], { timeout: '5s' }).catch(() => {}),
        )
        expect(sorted(heard.map(({ request }) => request))).toEqual(REQUESTS)
      }),
    )
  })
})
