import { charged, levelAt, MOST_USED } from '../../bucket/bucket.js'
import { type Limit, MOST_TOKENS, TEN_YEARS } from '../../bucket/limit.js'
import { type MemoryTable, NONE } from '../memory/memory-table.js'

/**
 * How calls travel to a shared store: bucket keys, and numbers that say what to do with them. The numbers are runs,
 * `kind, cost, count, groups, n`, then `capacity, tokens, micros, shadow` of each of `n` limits; they hold for the next
 * `groups` groups of `n` keys. A limit whose `shadow` is 1 has no say in what is admitted, and is charged with the others
 * where it has room. The answer has, for each group, how often the cost was admitted, then `used` and
 * `elapsed` of each bucket as they were before. From that every store's decisions are worked out by the same code, on
 * the same doubles. {@link answerFrom} and the script for Redis are twins: a change to one is a change to both.
 */
export const TAKE = 0
export const PEEK = 1
export const CHARGE = 2
export const RESET = 3
/** Takes the cost, and of what is left up to `count` tokens in advance. */
export const LEASE = 4

export type Kind = typeof TAKE | typeof PEEK | typeof CHARGE | typeof RESET | typeof LEASE

/** A lease takes at most a quarter of the tokens that are left. */
export const LEASE_PART = 4

/** Most calls that one pending decision counts: each is a step of a loop in a server that serves others. */
export const MOST_COUNT = 1_000
/** Most limits of one decision. */
export const MOST_LIMITS = 32
/** Microseconds since a bucket was noted. */
const MOST_ELAPSED = 1e18

/** Whether numbers are such runs, for so many keys. Another process may send anything. */
export function isSound(keys: number, numbers: readonly number[]): boolean {
  let left = keys
  let i = 0
  while (i < numbers.length) {
    const [kind, cost, count, groups, n] = [
      numbers[i]!,
      numbers[i + 1]!,
      numbers[i + 2]!,
      numbers[i + 3]!,
      numbers[i + 4]!,
    ]
    if (!isWhole(kind, 0, LEASE) || !isWhole(n, 1, MOST_LIMITS) || !isWhole(groups, 1, left)) return false
    if (!(Math.abs(cost) <= Number.MAX_VALUE) || (cost < 0 && kind !== CHARGE)) return false
    if (!isWhole(count, 0, kind === LEASE ? Number.MAX_SAFE_INTEGER : MOST_COUNT)) return false
    i += 5
    for (const end = i + 4 * n; i < end; i += 4) if (!isLimit(numbers, i)) return false
    left -= groups * n
    if (left < 0) return false
  }
  return left === 0
}

function isLimit(numbers: readonly number[], at: number): boolean {
  const [capacity, tokens, micros, shadow] = [
    numbers[at]!,
    numbers[at + 1]!,
    numbers[at + 2]!,
    numbers[at + 3]!,
  ]
  return (
    isWithin(capacity, MOST_TOKENS) &&
    isWithin(tokens, MOST_TOKENS) &&
    micros > 0 &&
    micros <= TEN_YEARS * 1_000 &&
    isWhole(shadow, 0, 1)
  )
}

/** Whether these are the numbers of one group in an answer, from `at` on. */
export function isGroup(numbers: readonly number[], at: number, n: number): boolean {
  if (!isWhole(numbers[at]!, 0, MOST_USED)) return false
  for (let i = at + 1; i < at + 1 + 2 * n; i += 2) {
    if (!isWithin(numbers[i]!, MOST_USED) || !isWithin(numbers[i + 1]!, MOST_ELAPSED)) return false
  }
  return true
}

function isWhole(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max
}

/** False for anything but a number from 0 to `max`. */
function isWithin(value: number, max: number): boolean {
  return typeof value === 'number' && value >= 0 && value <= max
}

/**
 * Decides a request on buckets in this process, all at the time `now` (microseconds).
 *
 * @param tableAt the table of the bucket that the key at this index names
 */
export function answerFrom(
  tableAt: (index: number) => MemoryTable,
  keys: readonly string[],
  numbers: readonly number[],
  now: number,
): number[] {
  const answer: number[] = []
  let next = 0
  for (let i = 0; i < numbers.length; ) {
    const [kind, cost, count] = [numbers[i] as Kind, numbers[i + 1]!, numbers[i + 2]!]
    const [groups, n] = [numbers[i + 3]!, numbers[i + 4]!]
    const limits = limitsIn(numbers, i + 5, n)
    for (let group = 0; group < groups; group++, next += n) {
      if (n === 1) {
        const cursor = new BucketCursor(tableAt(next), keys[next]!, limits[0]!, now)
        answer.push(decideOne(kind, cost, count, cursor), cursor.used, cursor.elapsed)
        continue
      }
      const cursors = limits.map(
        (limit, k) => new BucketCursor(tableAt(next + k), keys[next + k]!, limit, now),
      )
      answer.push(decideTogether(kind, cost, count, cursors))
      for (const { used, elapsed } of cursors) answer.push(used, elapsed)
    }
    i += 5 + 4 * n
  }
  return answer
}

function limitsIn(numbers: readonly number[], from: number, n: number): Limit[] {
  return Array.from({ length: n }, (_, k) => {
    const at = from + 4 * k
    const [capacity, tokens, micros] = [numbers[at]!, numbers[at + 1]!, numbers[at + 2]!]
    return { name: '', capacity, tokens, micros, shadow: numbers[at + 3] === 1 }
  })
}

/** Decides about one bucket alone: the usual case, without the lists that several buckets need. */
function decideOne(kind: Kind, cost: number, count: number, cursor: BucketCursor): number {
  if (kind === PEEK) return 0
  if (kind === RESET) {
    cursor.drop()
    return 1
  }
  let admitted = 0
  if (kind === CHARGE) {
    cursor.charge(cost)
    admitted = 1
  } else {
    const most = kind === LEASE ? 1 : count
    for (; admitted < most && (cursor.limit.shadow || cursor.fits(cost)); admitted++) {
      if (cursor.fits(cost)) cursor.charge(cost)
    }
    if (kind === LEASE && admitted === 1) {
      const extra = leasable([cursor.level], [cursor.limit], count)
      cursor.charge(extra)
      admitted += extra
    }
  }
  cursor.save()
  return admitted
}

/** Decides about the buckets of several limits at once: all that are not in shadow mode must have room. */
function decideTogether(kind: Kind, cost: number, count: number, cursors: readonly BucketCursor[]): number {
  if (kind === PEEK) return 0
  if (kind === RESET) {
    for (const cursor of cursors) cursor.drop()
    return 1
  }
  let admitted = 0
  if (kind === CHARGE) {
    for (const cursor of cursors) cursor.charge(cost)
    admitted = 1
  } else {
    const most = kind === LEASE ? 1 : count
    while (admitted < most && cursors.every((cursor) => cursor.limit.shadow || cursor.fits(cost))) {
      for (const cursor of cursors) if (cursor.fits(cost)) cursor.charge(cost)
      admitted++
    }
    if (kind === LEASE && admitted === 1) {
      const extra = leasable(
        cursors.map(({ level }) => level),
        cursors.map(({ limit }) => limit),
        count,
      )
      for (const cursor of cursors) cursor.charge(extra)
      admitted += extra
    }
  }
  for (const cursor of cursors) cursor.save()
  return admitted
}

/** Whole tokens that a lease of at most `most` may take from buckets at these levels. */
export function leasable(levels: readonly number[], limits: readonly Limit[], most: number): number {
  const parts = limits.map(({ capacity }, i) => Math.floor((capacity - levels[i]!) / LEASE_PART))
  return Math.max(0, Math.min(most, ...parts))
}

/** One bucket while a request is carried out. */
class BucketCursor {
  readonly used: number
  readonly elapsed: number
  level: number
  readonly #at: number
  #charged = false

  constructor(
    readonly table: MemoryTable,
    readonly key: string,
    readonly limit: Limit,
    now: number,
  ) {
    const slot = table.find(key)
    const at = slot === NONE ? now : table.at(slot)
    this.used = slot === NONE ? 0 : table.used(slot)
    this.elapsed = Math.max(0, now - at)
    this.level = levelAt(this.used, this.elapsed, limit)
    this.#at = at + this.elapsed
  }

  fits(cost: number): boolean {
    return this.level + cost <= this.limit.capacity
  }

  charge(cost: number): void {
    this.level = charged(this.level, cost)
    this.#charged = true
  }

  save(): void {
    if (!this.#charged) return
    // An earlier bucket of the same group may have swept this one away.
    const slot = this.table.find(this.key)
    if (this.level === 0) this.drop()
    else if (slot === NONE) this.table.insert(this.key, this.level, this.#at, this.limit)
    else {
      this.table.noteLimit(this.limit)
      this.table.write(slot, this.level, this.#at)
    }
  }

  drop(): void {
    this.table.delete(this.key)
  }
}
