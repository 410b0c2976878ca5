import type { City } from './cities.js'

export interface Group {
  readonly lat: number
  readonly lon: number
  readonly cities: number
  readonly population: number
  readonly largest: string
}

/**
 * Where a country lives: its cities in groups, by k-means weighted with the population (Lloyd 1982). Some 50 to 500 ms
 * of arithmetic, which would stop every other request of the worker; it runs in a thread.
 */
export function groupCities({
  cities,
  groups,
  rounds = 60,
}: {
  cities: readonly City[]
  groups: number
  rounds?: number
}): Group[] {
  const bySize = [...cities].sort((a, b) => b.population - a.population)
  let centres = bySize.slice(0, groups).map(({ lat, lon }) => ({ lat, lon }))
  let members: City[][] = []
  for (let round = 0; round < rounds; round++) {
    members = centres.map(() => [])
    for (const city of bySize) members[nearest(centres, city)]!.push(city)
    centres = members.map((own, i) => middle(own) ?? centres[i]!)
  }
  return members
    .map((own, i) => ({
      lat: Math.round(centres[i]!.lat * 1_000) / 1_000,
      lon: Math.round(centres[i]!.lon * 1_000) / 1_000,
      cities: own.length,
      population: own.reduce((sum, { population }) => sum + population, 0),
      largest: own[0]?.name ?? '',
    }))
    .sort((a, b) => b.population - a.population)
}

interface Point {
  readonly lat: number
  readonly lon: number
}

function nearest(centres: readonly Point[], { lat, lon }: Point): number {
  const shrink = Math.cos((lat * Math.PI) / 180) ** 2
  let best = 0
  let least = Infinity
  for (let i = 0; i < centres.length; i++) {
    const far = (lat - centres[i]!.lat) ** 2 + (lon - centres[i]!.lon) ** 2 * shrink
    if (far < least) [best, least] = [i, far]
  }
  return best
}

function middle(cities: readonly City[]): Point | undefined {
  let [lat, lon, weight] = [0, 0, 0]
  for (const city of cities) {
    const own = Math.max(1, city.population)
    lat += city.lat * own
    lon += city.lon * own
    weight += own
  }
  return weight === 0 ? undefined : { lat: lat / weight, lon: lon / weight }
}
