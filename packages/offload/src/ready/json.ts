export interface PickJsonInput {
  /** JSON text, or its UTF-8 bytes (which can be moved to the thread: `transfer: 'auto'`). */
  readonly json: string | Uint8Array
  /** Paths of what is wanted, such as `'user.name'` or `'items.0.id'`; each step a key or an index. */
  readonly pick: readonly string[]
}

/**
 * Parses a large JSON document in the thread and brings back only what is picked, by path; `undefined` where there is
 * nothing. Bringing back everything would cost the caller as much as parsing it there.
 *
 * @throws SyntaxError when it is not JSON
 */
export function pickJson({ json, pick }: PickJsonInput): Record<string, unknown> {
  const document: unknown = JSON.parse(typeof json === 'string' ? json : new TextDecoder().decode(json))
  const picked: Record<string, unknown> = {}
  for (const path of pick) {
    const value = path.split('.').reduce(step, document)
    Object.defineProperty(picked, path, { value, enumerable: true, configurable: true, writable: true })
  }
  return picked
}

function step(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Record<string, unknown>)[key]
}
