import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { allCities } from './data.js'

const TABLES = [
  `CREATE TABLE IF NOT EXISTS cities (
    id INT PRIMARY KEY,
    name VARCHAR(80) NOT NULL,
    country CHAR(2) NOT NULL,
    lat DOUBLE NOT NULL,
    lon DOUBLE NOT NULL,
    population INT NOT NULL,
    KEY by_name (name, population),
    KEY by_place (lat, lon)
  ) DEFAULT CHARSET = utf8mb4`,
  `CREATE TABLE IF NOT EXISTS checkins (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    city_id INT NOT NULL,
    who VARCHAR(80) NOT NULL,
    at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    KEY by_city (city_id)
  ) DEFAULT CHARSET = utf8mb4`,
]

const ROWS_PER_INSERT = 2_000

/** Makes the tables and fills in the cities, unless they are there. Returns how many there are. */
export async function prepareMysql(url: string): Promise<number> {
  const connection = await createConnection({ uri: url, connectTimeout: 5_000 })
  try {
    for (const table of TABLES) await connection.query(table)
    const known = await count(connection)
    const cities = allCities()
    if (known === cities.length) return known
    await connection.query('DELETE FROM cities')
    await connection.beginTransaction()
    for (let i = 0; i < cities.length; i += ROWS_PER_INSERT) {
      const rows = cities
        .slice(i, i + ROWS_PER_INSERT)
        .map(({ id, name, country, lat, lon, population }) => [id, name, country, lat, lon, population])
      await connection.query('INSERT INTO cities (id, name, country, lat, lon, population) VALUES ?', [rows])
    }
    await connection.commit()
    return await count(connection)
  } finally {
    await connection.end()
  }
}

async function count(connection: Awaited<ReturnType<typeof createConnection>>): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM cities')
  return Number(rows[0]?.n)
}
