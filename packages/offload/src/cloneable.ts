/** Values looked at before the search for the culprit gives up and names the whole. */
const MAX_VISITS = 10_000

export interface Uncloneable {
  /** Where it stands: `input.a[3].b`. */
  readonly path: string
  readonly reason: string
}

/**
 * Finds the innermost value that structured clone refuses. Runs only after a clone has failed, so it may be slow: it
 * asks structured clone itself about each child and goes down into the one it refuses.
 */
export function findUncloneable(value: unknown, name: string, error: unknown): Uncloneable {
  let found: Uncloneable = { path: name, reason: reasonOf(error) }
  let visits = 0
  const seen = new Set<unknown>()
  let current: readonly (readonly [string, unknown])[] = [[name, value]]
  while (current.length > 0 && visits < MAX_VISITS) {
    let inner: readonly (readonly [string, unknown])[] = []
    for (const [path, child] of current) {
      visits++
      const reason = refusal(child)
      if (reason === undefined || seen.has(child)) continue
      seen.add(child)
      found = { path, reason }
      inner = childrenOf(child, path)
      break
    }
    current = inner
  }
  return found
}

function refusal(value: unknown): string | undefined {
  try {
    structuredClone(value)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

function childrenOf(value: unknown, path: string): (readonly [string, unknown])[] {
  if (typeof value !== 'object' || value === null) return []
  if (value instanceof Map) {
    return [...value].flatMap(([key, item], i) => [
      [`${path}.key(${i})`, key] as const,
      [`${path}.get(${printable(key, i)})`, item] as const,
    ])
  }
  if (value instanceof Set) return [...value].map((item, i) => [`${path}.item(${i})`, item] as const)
  const children: (readonly [string, unknown])[] = []
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
