import { describe, expect, it } from 'vitest'
import { resolveOptions } from '../../src/connection/servers.js'
import { MysqlPool } from '../../src/index.js'

describe('options', () => {
  it('take the usual recipe and a URL, and refuse what they do not know', () => {
    const { primary, replicas, options } = resolveOptions({
      host: 'db',
      user: 'u',
      password: 'p',
      database: 'd',
      connectionLimit: 5,
      queueLimit: 0,
      waitForConnections: true,
      acquireTimeout: 1_000,
      timeout: '2s',
      replicas: ['mysql://r1:3307', { host: 'r2', user: 'reader' }],
    })
    expect(primary).toEqual({
      host: 'db',
      port: 3306,
      user: 'u',
      password: 'p',
      database: 'd',
      name: 'db:3306',
    })
    expect(replicas).toEqual([
      { host: 'r1', port: 3307, user: 'u', password: 'p', database: 'd', name: 'r1:3307' },
      { host: 'r2', port: 3306, user: 'reader', password: 'p', database: 'd', name: 'r2:3306' },
    ])
    expect(options.timeout).toBe(2_000)
    expect(resolveOptions('mysql://a%40b:p%2Fw@[::1]:3310/x').primary).toMatchObject({
      host: '::1',
      port: 3310,
      user: 'a@b',
      password: 'p/w',
      database: 'x',
    })
    expect(() => new MysqlPool({ conectionLimit: 5 } as object)).toThrow(/did you mean "connectionLimit"/)
    expect(() => new MysqlPool('postgres://x')).toThrow(/mysql:/)
    expect(() => new MysqlPool({ timeout: -1 })).toThrow(RangeError)
  })

  it('the workers of a machine share its connections', async () => {
    process.env.SPILLWAY_WORKERS = '4'
    try {
      const pool = new MysqlPool({ connectionLimit: 10 })
      expect(pool.stats().limit).toBe(2)
      expect(new MysqlPool({ connectionLimit: 10, shareConnections: false }).stats().limit).toBe(10)
      await pool.close()
    } finally {
      delete process.env.SPILLWAY_WORKERS
    }
  })
})
