/** The epoch that every entry carries; `clear` gives it a new value. No tag has this name, since those begin with `#`. */
export const EVERYTHING = 'all'
export function epochName(tag: string): string {
  return `#${tag}`
}

const ONLY_EVERYTHING: readonly string[] = Object.freeze([EVERYTHING])

/** The names of the epochs of an entry with these tags. */
export function epochNames(tags: readonly string[]): readonly string[] {
  return tags.length === 0 ? ONLY_EVERYTHING : [EVERYTHING, ...new Set(tags.map(epochName))]
}

/** Names and their epochs in turn, as they stand in an entry: `['all', '17', '#users', '18']`. */
export type Stamps = readonly string[]

const NO_TAGS: readonly string[] = Object.freeze([])

/** The tags of an entry, whose first stamp is the namespace's. */
export function tagsOf(stamps: Stamps): readonly string[] {
  if (stamps.length === 2) return NO_TAGS
  const tags: string[] = []
  for (let i = 2; i < stamps.length; i += 2) tags.push(stamps[i]!.slice(1))
  return tags
}

/** The epochs that were current when somebody looked. They are few: a list is searched faster than a map is made. */
export class Epochs {
  readonly names: readonly string[]
  readonly #values: readonly (string | undefined)[]

  /** @param values `undefined`: it does not exist */
  constructor(names: readonly string[], values: readonly (string | undefined)[]) {
    this.names = names
    this.#values = values
  }

  /** `undefined`: nobody looked, or it does not exist. */
  of(name: string): string | undefined {
    const at = this.names.indexOf(name)
    return at === -1 ? undefined : this.#values[at]
  }

  /** Those that were looked for and do not exist. */
  missing(): readonly string[] {
    return this.names.filter((_, i) => this.#values[i] === undefined)
  }

  /** Names in an entry that nobody looked for yet; `undefined` when one of the others has a newer epoch. */
  unseen(stamps: Stamps): readonly string[] | undefined {
    let unseen = NO_TAGS
    for (let i = 0; i < stamps.length; i += 2) {
      const at = this.names.indexOf(stamps[i]!)
      if (at === -1) unseen = [...unseen, stamps[i]!]
      else if (this.#values[at] !== stamps[i + 1]) return undefined
    }
    return unseen
  }

  with(names: readonly string[], values: readonly string[]): Epochs {
    if (names.length === 0) return this
    const kept = this.names.filter((name) => !names.includes(name))
    return new Epochs([...kept, ...names], [...kept.map((name) => this.of(name)), ...values])
  }
}
