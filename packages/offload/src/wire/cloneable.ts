/** Values looked at before the search for the culprit gives up and names the whole. */
const MAX_VISITS = 10_000

export interface Uncloneable {
  /** Where it stands: `input.a[3].b`. */
  readonly path: string
  readonly reason: string
}

/**
 * Finds the innermost value that structured clone refuses; `undefined` when it refuses none. Runs only after a clone has
 * failed, so it may be slow: it asks structured clone itself about each child and goes down into the one it refuses.
 */
export function findUncloneable(value: unknown, name: string): Uncloneable | undefined {
  const seen = new Set<unknown>()
  let found: Uncloneable | undefined
  let candidates: readonly Candidate[] = [[name, value]]
  let visits = 0
  while (visits < MAX_VISITS) {
    visits += candidates.length
    const refused = candidates.find(([, child]) => !seen.has(child) && refusal(child) !== undefined)
    if (refused === undefined) break
    const [path, culprit] = refused
    seen.add(culprit)
    found = { path, reason: refusal(culprit) ?? '' }
    candidates = childrenOf(culprit, path)
  }
  return found
}

type Candidate = readonly [path: string, value: unknown]

function refusal(value: unknown): string | undefined {
  try {
    structuredClone(value)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

function childrenOf(value: unknown, path: string): Candidate[] {
  if (typeof value !== 'object' || value === null) return []
  if (value instanceof Map) {
    return [...value].flatMap(([key, item], i) => [
      [`${path}.key(${i})`, key] as const,
      [`${path}.get(${printable(key, i)})`, item] as const,
    ])
  }
  if (value instanceof Set) return [...value].map((item, i) => [`${path}.item(${i})`, item] as const)
  const children: Candidate[] = []
  for (const key of Object.keys(value)) {
    children.push([step(path, key, Array.isArray(value)), read(value, key)])
  }
  return children
}

/** A getter that throws is what structured clone trips over, too. */
function read(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key]
  } catch {
    return undefined
  }
}

function step(path: string, key: string, isIndex: boolean): string {
  if (isIndex) return `${path}[${key}]`
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`
}

function printable(key: unknown, index: number): string {
  return typeof key === 'string' || typeof key === 'number' ? JSON.stringify(key) : `#${index}`
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
