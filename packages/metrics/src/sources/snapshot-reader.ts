import { labelText } from '../series/label.js'

/**
 * How to read the figures of a `stats()` snapshot, and how to merge those of several sources of one name and of several
 * workers. Names are dotted paths into the snapshot; `*` stands for any one name. A figure that is not listed is a gauge that
 * adds up.
 */
export interface StatsSchema {
  /** Figures that only grow. Exported with `_total`. They add up. */
  readonly counters?: readonly string[]
  /** Gauges that add up: what is in use, what waits. */
  readonly sums?: readonly string[]
  /** Gauges that merge to their greatest value: percentiles, ages, levels, limits, flags of a fault. */
  readonly greatest?: readonly string[]
  /** Gauges that merge to their least value: flags of health. */
  readonly least?: readonly string[]
  /** Gauges that merge to their mean: shares of a time that is the same for all. */
  readonly averages?: readonly string[]
  /** Ratios of counters, by their path: the sum of the counters `of`, divided by the sum of the counters `to`. */
  readonly ratios?: Readonly<
    Record<string, { readonly of: readonly string[]; readonly to: readonly string[] }>
  >
  /** Figures in milliseconds. Exported in seconds, the unit of Prometheus. */
  readonly milliseconds?: readonly string[]
  /** Words out of a small set. Exported as a gauge of 1 with the word as the label `state`. */
  readonly states?: readonly string[]
  /** Records whose keys become a label of this name: `{ tasks: 'task' }`. Of arrays: the items' `task`, `id` or `name`. */
  readonly records?: Readonly<Record<string, string>>
  /** Figures to leave out. */
  readonly omit?: readonly string[]
}

/** How the figures of several sources merge. */
export type Merge = 'counter' | 'sum' | 'max' | 'min' | 'average' | 'ratio'

/** One number of a snapshot, ready to be exported. */
export interface Figure {
  /** `queue_expected_wait_seconds` */
  readonly name: string
  readonly kind: Merge
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

interface Rule {
  readonly kind: Merge | 'state' | 'omit'
  readonly milliseconds: boolean
  /** The label that the keys of this record become. */
  readonly label: string | undefined
}

/** Depth at which reading stops: a snapshot may refer to itself. */
const DEEPEST = 10
const LONGEST_LABEL = 1_000

/** Reader of snapshots by one schema. The rule of each path is looked up once and cached. */
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
    if (path.length > DEEPEST) return
    const { kind, milliseconds, label } = this.#ruleOf(path.join('.'))
    if (kind === 'omit' || kind === 'ratio') return
    if (kind === 'state') {
      if (typeof value === 'string') {
        yield {
          name: snake(name),
          kind: 'sum',
          labels: { ...labels, state: labelText(value, LONGEST_LABEL) },
          value: 1,
        }
      }
    } else if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
      const number = Number(value)
      if (!Number.isFinite(number)) return
      const full = nameOf(name, milliseconds, kind === 'counter')
      yield { name: full, kind, labels, value: milliseconds ? number / 1_000 : number }
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of entries(value, label)) {
        if (label !== undefined)
          yield* this.read(item, [...path, '*'], name, { ...labels, [label]: labelText(key, LONGEST_LABEL) })
        else if (!Array.isArray(value)) yield* this.read(item, [...path, key], [...name, key], labels)
      }
    }
  }

  #ruleOf(path: string): Rule {
    let rule = this.#rules.get(path)
    if (rule === undefined) {
      const { milliseconds, records = {} } = this.schema
      rule = {
        kind: kindOf(this.schema, path) ?? 'sum',
        milliseconds: lists(milliseconds, path),
        label: Object.hasOwn(records, path) ? records[path] : undefined,
      }
      this.#rules.set(path, rule)
    }
    return rule
  }
}

/** The rule of a path: how its figures merge, `state`, or `omit`; `undefined` when the schema does not list it. */
export function kindOf(schema: StatsSchema, path: string): Rule['kind'] | undefined {
  const { counters, sums, greatest, least, averages, ratios = {}, states, omit } = schema
  if (lists(omit, path)) return 'omit'
  if (lists(states, path)) return 'state'
  if (lists(Object.keys(ratios), path)) return 'ratio'
  if (lists(counters, path)) return 'counter'
  if (lists(greatest, path)) return 'max'
  if (lists(least, path)) return 'min'
  if (lists(averages, path)) return 'average'
  return lists(sums, path) ? 'sum' : undefined
}

/** The ratios of a schema, with the exported names of each ratio and of its counters. */
export function ratiosOf(schema: StatsSchema): { name: string; of: string[]; to: string[] }[] {
  const counter = (path: string): string => nameOf(namesOf(path), lists(schema.milliseconds, path), true)
  return Object.entries(schema.ratios ?? {}).map(([path, { of, to }]) => ({
    name: nameOf(namesOf(path), false, false),
    of: of.map(counter),
    to: to.map(counter),
  }))
}

/** The parts of a path that form the metric's name: those that become labels are left out. */
function namesOf(path: string): string[] {
  return path.split('.').filter((name) => name !== '*')
}

function lists(patterns: readonly string[] | undefined, path: string): boolean {
  return patterns?.some((pattern) => matches(pattern, path)) === true
}

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('.')
  const names = path.split('.')
  return wanted.length === names.length && wanted.every((name, i) => name === '*' || name === names[i])
}

/** The entries of an object by key; of an array, by the field of each item that has the label's name, or `id`, or `name`. */
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
