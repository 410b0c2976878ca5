/**
 * The directives of a `Cache-Control` field (RFC 9111 section 5.2), by lower-case name. A directive without a value
 * has `''`. Of several the first counts, as the section on freshness says (4.2.1).
 */
export type Directives = ReadonlyMap<string, string>

const DIRECTIVE = /([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g

export function directives(field: string | readonly string[] | undefined): Directives {
  const found = new Map<string, string>()
  if (field === undefined) return found
  const text = typeof field === 'string' ? field : field.join(',')
  for (const [, name, quoted, token] of text.matchAll(DIRECTIVE)) {
    const key = name!.toLowerCase()
    if (!found.has(key)) found.set(key, quoted?.replace(/\\(.)/g, '$1') ?? token ?? '')
  }
  return found
}

/**
 * The milliseconds in a delta-seconds directive. One that is there but not a number counts as 0: stale is the safe
 * way to misunderstand it.
 */
export function seconds(found: Directives, name: string): number | undefined {
  const value = found.get(name)
  if (value === undefined) return undefined
  return /^\d+$/.test(value) ? Math.min(Number(value), MAX_SECONDS) * 1000 : 0
}

/** RFC 9111 section 1.2.2: beyond 2^31 anything is just very long. */
const MAX_SECONDS = 2 ** 31
