import { charged, levelAt, MOST_USED } from '../../bucket/bucket.js'
import { type Limit, MOST_TOKENS, TEN_YEARS } from '../../bucket/limit.js'
import type { MemoryTable } from '../memory/memory-table.js'
import { NONE } from '../memory/memory-table.js'

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

/** A lease leaves three quarters of what is there to others. */
export const LEASE_PART = 4

/** Calls that one question counts at most: each is a step of a loop, in a process that others wait for. */
export const MOST_COUNT = 1_000
/** Limits of one question. */
export const MOST_LIMITS = 32
/** Microseconds since a bucket was noted. */
const MOST_ELAPSED = 1e18

/** Whether numbers are such runs, for so many keys. What comes from another process may be anything. */
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

/** Also false for what is no number at all. */
function isWithin(value: number, max: number): boolean {
  return value >= 0 && value <= max
}

/** Carries out a request on buckets in this process, all at the time `now` (microseconds). */
export function answerFrom(
  tableOf: (key: string) => MemoryTable,
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
      const slots = limits.map((limit, k) => new Slot(tableOf(keys[next + k]!), keys[next + k]!, limit, now))
      answer.push(carryOut(kind, cost, count, slots))
      for (const { used, elapsed } of slots) answer.push(used, elapsed)
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

function carryOut(kind: Kind, cost: number, count: number, slots: readonly Slot[]): number {
  if (kind === PEEK) return 0
  if (kind === RESET) {
    for (const slot of slots) slot.drop()
    return 1
  }
  let admitted = 0
  if (kind === CHARGE) {
    for (const slot of slots) slot.charge(cost)
    admitted = 1
  } else {
    const most = kind === LEASE ? 1 : count
    while (admitted < most && slots.every((slot) => slot.limit.shadow || slot.fits(cost))) {
      for (const slot of slots) if (slot.fits(cost)) slot.charge(cost)
      admitted++
    }
    if (kind === LEASE && admitted === 1) {
      const extra = leasable(
        slots.map(({ level }) => level),
        slots.map(({ limit }) => limit),
        count,
      )
      for (const slot of slots) slot.charge(extra)
      admitted += extra
    }
  }
  for (const slot of slots) slot.save()
  return admitted
}

/** Whole tokens that a lease of at most `most` may take from buckets at these levels. */
export function leasable(levels: readonly number[], limits: readonly Limit[], most: number): number {
  const parts = limits.map(({ capacity }, i) => Math.floor((capacity - levels[i]!) / LEASE_PART))
  return Math.max(0, Math.min(most, ...parts))
}

/** One bucket while a request is carried out. */
class Slot {
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
