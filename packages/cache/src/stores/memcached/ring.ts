/** Points of each server on the circle. */
const POINTS = 160

/**
 * Consistent hashing (Karger et al., STOC 1997): a server more or less moves only its share of the keys. The order of the
 * list does not matter, the names do.
 */
export class Ring {
  readonly #points: readonly { readonly at: number; readonly server: number }[]

  constructor(names: readonly string[]) {
    this.#points = names
      .flatMap((name, server) =>
        Array.from({ length: POINTS }, (_, i) => ({ at: place(`${name}#${i}`), server })),
      )
      .sort((a, b) => a.at - b.at)
  }

  /** The index of the server of a key. */
  serverOf(key: string): number {
    const at = place(key)
    let low = 0
    let high = this.#points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#points[middle]!.at < at) low = middle + 1
      else high = middle
    }
    return this.#points[low % this.#points.length]!.server
  }
}

/** FNV-1a, and the last steps of MurmurHash3, without which names that differ in the end only would stand close by. */
function place(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
