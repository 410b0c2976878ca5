/**
 * How the figures of a `stats()` snapshot are to be read. Names are dotted paths into it; `*` stands for any one name.
 * A figure that is not listed is a gauge that adds up over workers.
 */
export interface StatsSchema {
  /** Those that only ever grow. Exported with `_total`. */
  readonly counters?: readonly string[]
  /** Gauges of which the greatest counts, not the sum: percentiles, limits, flags. */
  readonly greatest?: readonly string[]
  /** Gauges whose mean counts: ratios. */
  readonly averages?: readonly string[]
  /** Those in milliseconds. Exported in seconds, as Prometheus wants it. */
  readonly milliseconds?: readonly string[]
  /** Words out of a small set. Exported as a gauge of 1 with the word as the label `state`. */
  readonly states?: readonly string[]
  /** Records whose keys become a label of this name: `{ tasks: 'task' }`. Of arrays: the items' `task`, `id` or `name`. */
  readonly records?: Readonly<Record<string, string>>
  /** Those to leave out. */
  readonly omit?: readonly string[]
}

/** One number of a snapshot, ready to be exported. */
export interface Figure {
  /** `queue_expected_wait_seconds` */
  readonly name: string
  readonly kind: 'counter' | 'sum' | 'max' | 'average'
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

interface Rule {
  readonly kind: Figure['kind'] | 'state' | 'omit'
  readonly milliseconds: boolean
  /** The label that the keys of this record become. */
  readonly label: string | undefined
}

/** Reads snapshots by one schema. What the schema says about a path is looked up once. */
export class SnapshotReader {
  readonly #rules = new Map<string, Rule>()

  constructor(readonly schema: StatsSchema) {}

  /** Every figure of the snapshot, in its order. */
  *read(
    value: unknown,
    path: readonly string[] = [],
    name: readonly string[] = [],
    labels: Readonly<Record<string, string>> = {},
  ): Generator<Figure> {
    const { kind, milliseconds, label } = this.#ruleOf(path.join('.'))
    if (kind === 'omit') return
    if (kind === 'state') {
      if (typeof value === 'string') {
        yield { name: snake(name), kind: 'sum', labels: { ...labels, state: value }, value: 1 }
      }
    } else if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
      const number = Number(value)
      if (!Number.isFinite(number)) return
      const full = nameOf(name, milliseconds, kind === 'counter')
      yield { name: full, kind, labels, value: milliseconds ? number / 1_000 : number }
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of entries(value, label)) {
        if (label !== undefined) yield* this.read(item, [...path, '*'], name, { ...labels, [label]: key })
        else if (!Array.isArray(value)) yield* this.read(item, [...path, key], [...name, key], labels)
      }
    }
  }

  #ruleOf(path: string): Rule {
    let rule = this.#rules.get(path)
    if (rule === undefined) {
      const { counters, greatest, averages, milliseconds, states, records = {}, omit } = this.schema
      const listed = (paths: readonly string[] = []) => paths.some((pattern) => matches(pattern, path))
      rule = {
        kind: listed(omit)
          ? 'omit'
          : listed(states)
            ? 'state'
            : listed(counters)
              ? 'counter'
              : listed(greatest)
                ? 'max'
                : listed(averages)
                  ? 'average'
                  : 'sum',
        milliseconds: listed(milliseconds),
        label: records[path],
      }
      this.#rules.set(path, rule)
    }
    return rule
  }
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('.')
  const names = path.split('.')
  return wanted.length === names.length && wanted.every((name, i) => name === '*' || name === names[i])
}

/** By their keys; of a list, by what its items call themselves under the label's name, or as `id` or `name`. */
function entries(value: object, label: string | undefined): [string, unknown][] {
  if (!Array.isArray(value)) return Object.entries(value)
  return value.map((item: unknown, i) => {
    const { id, name, [label ?? 'id']: own } = Object(item) as Record<string, unknown>
    return [String(own ?? id ?? name ?? i), item]
  })
}

/** With the unit, and with `_total` for counters, as Prometheus wants it: `queue_expected_wait_seconds`. */
function nameOf(names: readonly string[], inSeconds: boolean, grows: boolean): string {
  const bare = snake(names)
  const withUnit = inSeconds ? `${bare.replace(/_ms$/, '')}_seconds` : bare
  return grows ? `${withUnit}_total` : withUnit
}

/** `['queue', 'expectedWait']` is `queue_expected_wait`. */
function snake(names: readonly string[]): string {
  return names
    .join('_')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9_]/g, '_')
}
