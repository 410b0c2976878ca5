import { database, ROWS } from './server.mjs'

const SQL = 'SELECT id, name, price, stock FROM item WHERE id = ?'
const POOL = 10

/** Reads one row by its id; what a contender needs beyond the driver is loaded in its own process only. */
export const readers = {
  async 'mysql2 trace: false'() {
    const { createPool } = await import('mysql2/promise')
    const pool = createPool({ ...(await database()), connectionLimit: POOL, trace: false })
    return { one: async (id) => (await pool.execute(SQL, [id]))[0][0], close: () => pool.end() }
  },
  async spillway() {
    const { MysqlPool } = await import('@spillway/mysql')
    const pool = new MysqlPool({ ...(await database()), connectionLimit: POOL })
    return { one: async (id) => (await pool.execute(SQL, [id]))[0][0], close: () => pool.close() }
  },
  async 'spillway loader'() {
    const { MysqlPool } = await import('@spillway/mysql')
    const pool = new MysqlPool({ ...(await database()), connectionLimit: POOL })
    const items = pool.loader({ table: 'item', columns: ['id', 'name', 'price', 'stock'] })
    return { one: (id) => items.load(id), close: () => pool.close() }
  },
  async 'mysql2 default'() {
    const { createPool } = await import('mysql2/promise')
    const pool = createPool({ ...(await database()), connectionLimit: POOL })
    return { one: async (id) => (await pool.execute(SQL, [id]))[0][0], close: () => pool.end() }
  },
  async mariadb() {
    const { createPool } = await import('mariadb')
    const pool = createPool({ ...(await database()), connectionLimit: POOL })
    return { one: async (id) => (await pool.execute(SQL, [id]))[0], close: () => pool.end() }
  },
  async knex() {
    const { default: knex } = await import('knex')
    const db = knex({ client: 'mysql2', connection: await database(), pool: { min: 0, max: POOL } })
    const one = (id) => db('item').select('id', 'name', 'price', 'stock').where({ id }).first()
    return { one, close: () => db.destroy() }
  },
  async kysely() {
    const { Kysely, MysqlDialect } = await import('kysely')
    const { createPool } = await import('mysql2')
    const pool = createPool({ ...(await database()), connectionLimit: POOL })
    const db = new Kysely({ dialect: new MysqlDialect({ pool }) })
    const one = (id) =>
      db.selectFrom('item').select(['id', 'name', 'price', 'stock']).where('id', '=', id).executeTakeFirst()
    return { one, close: () => db.destroy() }
  },
  async drizzle() {
    const { drizzle } = await import('drizzle-orm/mysql2')
    const { decimal, int, mysqlTable, varchar } = await import('drizzle-orm/mysql-core')
    const { eq } = await import('drizzle-orm')
    const { createPool } = await import('mysql2/promise')
    const pool = createPool({ ...(await database()), connectionLimit: POOL })
    const item = mysqlTable('item', {
      id: int('id').primaryKey(),
      name: varchar('name', { length: 50 }),
      price: decimal('price', { precision: 10, scale: 2 }),
      stock: int('stock'),
    })
    const db = drizzle(pool)
    return {
      one: async (id) => (await db.select().from(item).where(eq(item.id, id)))[0],
      close: () => pool.end(),
    }
  },
}

/** A contender of the harness: `concurrency` loops, each reads one random row after the other, and checks it. */
export function reading(name, concurrency) {
  return async () => {
    const { one, close } = await readers[name]()
    let state = 1
    const nextId = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return 1 + (state % ROWS)
    }
    return {
      async run(roundMs) {
        const end = performance.now() + roundMs
        let ops = 0
        const loop = async () => {
          while (performance.now() < end) {
            const id = nextId()
            const row = await one(id)
            if (row?.id !== id) throw new Error(`asked for ${id}, got ${JSON.stringify(row)}`)
            ops++
          }
        }
        await Promise.all(Array.from({ length: concurrency }, loop))
        return { ops }
      },
      close,
    }
  }
}
