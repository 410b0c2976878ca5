import { InputError } from './cities.js'

// What a client sends is text, or anything at all: read it once, at the edge.

/** @throws InputError */
export function searchOf(query: unknown): { readonly text: string; readonly limit: number } {
  const { q, limit } = Object(query) as { q?: unknown; limit?: unknown }
  if (typeof q !== 'string' || q.length < 2 || q.length > 60) {
    throw new InputError('Say what to look for with q, 2 to 60 characters: /cities?q=ber')
  }
  return { text: q, limit: limitOf(limit) }
}

/** @throws InputError */
export function limitOf(value: unknown): number {
  return numberOf('limit', value ?? '10', 1, 50)
}

/** @throws InputError */
export function idOf(params: unknown): number {
  return numberOf('id', (Object(params) as { id?: unknown }).id, 1, 2_147_483_647)
}

/** @throws InputError */
export function reportOf(query: unknown): { readonly country: string; readonly groups: number } {
  const { country = 'DE', groups = '12' } = Object(query) as { country?: unknown; groups?: unknown }
  if (typeof country !== 'string' || !/^[A-Za-z]{2}$/.test(country)) {
    throw new InputError('country must be two letters: /report?country=DE')
  }
  return { country: country.toUpperCase(), groups: numberOf('groups', groups, 2, 50) }
}

/** @throws InputError */
export function visitorOf(body: unknown): string {
  const { who } = Object(body) as { who?: unknown }
  if (typeof who !== 'string' || who.trim() === '' || who.length > 80) {
    throw new InputError('Say who you are, up to 80 characters: { "who": "Ada" }')
  }
  return who.trim()
}

function numberOf(name: string, value: unknown, min: number, max: number): number {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= min && number <= max)) {
    throw new InputError(`${name} must be a whole number from ${min} to ${max}.`)
  }
  return number
}
