/** What nodes tell each other: who speaks, what kind of thing changed, and which ones. */
export type BusEvent =
  | { readonly kind: 'keys'; readonly names: readonly string[] }
  | { readonly kind: 'tags'; readonly names: readonly string[] }
  | { readonly kind: 'all' }

/** The messages of one cache, and those who wait for one about their key. */
export class Bus {
  /** Messages arrive: other nodes' changes become known at once. False before the first connection and in a gap. */
  healthy = false
  readonly #sender: string
  readonly #waiting = new Map<string, Set<() => void>>()

  /** @param sender tells this cache from all others of its name, also in the same process */
  constructor(sender: string) {
    this.#sender = sender
  }

  write(event: BusEvent): string {
    return JSON.stringify([this.#sender, event.kind, ...(event.kind === 'all' ? [] : event.names)])
  }

  /** The event in a message; `undefined` for an own or a foreign one. */
  read(text: string): BusEvent | undefined {
    const [sender, kind, ...names] = parse(text)
    if (sender === this.#sender) return undefined
    if (kind === 'all') return { kind }
    return kind === 'keys' || kind === 'tags' ? { kind, names } : undefined
  }

  /** Calls back once when another node reports a change of the key. Returns how to stop listening. */
  onChange(key: string, callback: () => void): () => void {
    let callbacks = this.#waiting.get(key)
    if (callbacks === undefined) this.#waiting.set(key, (callbacks = new Set()))
    callbacks.add(callback)
    return () => {
      callbacks.delete(callback)
      if (callbacks.size === 0 && this.#waiting.get(key) === callbacks) this.#waiting.delete(key)
    }
  }

  wake(key: string): void {
    const callbacks = this.#waiting.get(key)
    if (callbacks === undefined) return
    this.#waiting.delete(key)
    for (const callback of callbacks) callback()
  }
}

/** A message is foreign input: anything that is not a list of strings is nothing. */
function parse(text: string): readonly string[] {
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : []
  } catch {
    return []
  }
}
