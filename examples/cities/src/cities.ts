import type { Cache } from '@spillway/cache'
import type { Queryable } from '@spillway/mysql'
import type { RowDataPacket } from 'mysql2'

export interface City {
  readonly id: number
  readonly name: string
  readonly country: string
  readonly lat: number
  readonly lon: number
  readonly population: number
}

export interface CityPage extends City {
  readonly checkIns: number
  readonly lastCheckIn: string | null
}

export interface Neighbour extends City {
  readonly km: number
}

/** Bad input: answered with 400. */
export class InputError extends Error {
  readonly status = 400
  readonly statusCode = 400
  readonly expose = true
  readonly code = 'ERR_CITIES_INPUT'
}

/** There is no such city: answered with 404. */
export class NoSuchCityError extends Error {
  readonly status = 404
  readonly statusCode = 404
  readonly expose = true
  readonly code = 'ERR_CITIES_NOT_FOUND'

  constructor(id: number) {
    super(`There is no city ${id}.`)
  }
}

interface CheckInRow extends RowDataPacket {
  readonly n: number
  readonly last_at: string | null
}

type CityRow = City & RowDataPacket

const COLUMNS = 'id, name, country, lat, lon, population'
const EARTH_RADIUS_KM = 6_371

/** The pool, or the session of one request. */
export type Database = Pick<Queryable, 'query'>

/** The questions one can ask about cities. Knows the cache and the database, and nothing of HTTP. */
export class Cities {
  /** @param shared whether all workers see one cache: else what one of them deletes, the others would go on serving */
  constructor(
    readonly cache: Cache,
    readonly database: Database,
    readonly shared: boolean,
  ) {}

  /** Cities whose name begins with `text`, the largest first. */
  search(text: string, limit: number): Promise<readonly City[]> {
    const prefix = text.toLowerCase()
    return this.cache.getOrSet(`search:${limit}:${prefix}`, () =>
      this.#cities(
        `SELECT ${COLUMNS} FROM cities WHERE name LIKE ? ORDER BY population DESC LIMIT ${limit}`,
        [`${prefix.replaceAll(/[\\%_]/g, '')}%`],
      ),
    )
  }

  /**
   * A city with its check-ins. A write is followed by the deletion of its tag, so the next read sees it.
   *
   * @throws NoSuchCityError
   */
  page(id: number, database: Database = this.database): Promise<CityPage> {
    const load = () => this.#page(id, database)
    return this.shared ? this.cache.getOrSet(`city:${id}`, load, { tags: [tagOf(id)] }) : load()
  }

  /** @throws NoSuchCityError */
  async nearest(id: number, limit: number): Promise<readonly Neighbour[]> {
    return this.cache.getOrSet(`nearest:${limit}:${id}`, async () => {
      const { lat, lon } = await this.#city(id)
      const shrink = Math.max(0.05, Math.cos((lat * Math.PI) / 180))
      for (let degrees = 0.5; ; degrees *= 4) {
        const found = await this.#cities(
          `SELECT ${COLUMNS} FROM cities
           WHERE lat BETWEEN ? AND ? AND lon BETWEEN ? AND ? AND id <> ?
           ORDER BY (lat - ?) * (lat - ?) + (lon - ?) * (lon - ?) * ? LIMIT ${limit}`,
          [
            lat - degrees,
            lat + degrees,
            lon - degrees / shrink,
            lon + degrees / shrink,
            id,
            lat,
            lat,
            lon,
            lon,
            shrink ** 2,
          ],
        )
        if (found.length === limit || degrees > 90) {
          return found.map((city) => ({
            ...city,
            km: Math.round(distance(lat, lon, city.lat, city.lon) * 10) / 10,
          }))
        }
      }
    })
  }

  /**
   * Somebody has been there.
   *
   * @throws NoSuchCityError
   */
  async checkIn(id: number, who: string, database: Database = this.database): Promise<CityPage> {
    await this.#city(id)
    await database.query('INSERT INTO checkins (city_id, who) VALUES (?, ?)', [id, who])
    await this.cache.deleteByTag(tagOf(id))
    return this.page(id, database)
  }

  /** All cities of a country, for the report. */
  async ofCountry(country: string): Promise<readonly City[]> {
    return this.#cities(`SELECT ${COLUMNS} FROM cities WHERE country = ?`, [country])
  }

  async #page(id: number, database: Database): Promise<CityPage> {
    const city = await this.#city(id)
    // What is cached is read where it is written: a replica may not have it yet, and the cache would keep that.
    const [rows] = await database.query<CheckInRow[]>(
      'SELECT COUNT(*) AS n, MAX(at) AS last_at FROM checkins WHERE city_id = ?',
      [id],
      { on: 'primary' },
    )
    const { n = 0, last_at = null } = rows[0] ?? {}
    return { ...city, checkIns: Number(n), lastCheckIn: last_at && new Date(last_at).toISOString() }
  }

  async #city(id: number): Promise<City> {
    const [city] = await this.#cities(`SELECT ${COLUMNS} FROM cities WHERE id = ?`, [id])
    if (city === undefined) throw new NoSuchCityError(id)
    return city
  }

  async #cities(sql: string, values: unknown[]): Promise<City[]> {
    const [rows] = await this.database.query<CityRow[]>(sql, values)
    return rows
  }
}

/** The tag of everything that is cached about one city. */
export function tagOf(id: number): string {
  return `city:${id}`
}

/** Kilometres on the sphere (haversine). */
function distance(lat1: number, lon1: number, lat2: number, lon2: number): number {
  const radians = Math.PI / 180
  const half = (a: number, b: number) => Math.sin(((b - a) * radians) / 2) ** 2
  const h = half(lat1, lat2) + Math.cos(lat1 * radians) * Math.cos(lat2 * radians) * half(lon1, lon2)
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(h))
}
