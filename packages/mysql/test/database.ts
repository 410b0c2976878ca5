import { type MariadbServer, startMariadb } from '@spillway/testkit'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { MysqlPool, type MysqlPoolOptions } from '../src/index.js'

/** A private server for the tests of one file, with an empty table `t` before each test. */
export class Database {
  readonly #open: MysqlPool[] = []
  #server: MariadbServer | undefined

  constructor() {
    const closePools = async () => {
      for (const pool of this.#open.splice(0)) await pool.close({ timeout: 0 })
    }
    beforeAll(async () => {
      this.#server = await startMariadb()
    })
    beforeEach(async () => {
      await closePools()
      await this.server.query(
        'DROP TABLE IF EXISTS t',
        'CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL, note VARCHAR(100))',
      )
    })
    afterAll(async () => {
      await closePools()
      await this.#server?.[Symbol.asyncDispose]()
    })
  }

  get server(): MariadbServer {
    return this.#server!
  }

  /** A pool on the server, closed after the test. */
  pool(options: MysqlPoolOptions = {}): MysqlPool {
    const pool = new MysqlPool({ uri: this.server.url(), ...options })
    this.#open.push(pool)
    return pool
  }
}
