/** Characters of a token, and of what a server says, at most. Beyond that the position counts as unknown. */
const LONGEST_TOKEN = 8_192
const LONGEST = 1_048_576

/**
 * How far a server's history must have come: the highest number of each source of writes. A source is a domain of
 * MariaDB (`0-1-42`: domain, server, number) or a server's UUID of MySQL (`3e11fa47-…:42`).
 */
export class Position {
  readonly #numbers: ReadonlyMap<string, GtidPart>

  private constructor(numbers: ReadonlyMap<string, GtidPart>) {
    this.#numbers = numbers
  }

  static readonly START = new Position(new Map())

  /** Reads what a server says of a write. `undefined` when it has another form. */
  static parse(text: string): Position | undefined {
    return Position.#read(text, highest)
  }

  /** Reads a token, which may have been in anybody's hands. `undefined` when it is none. */
  static ofToken(token: string): Position | undefined {
    return typeof token === 'string' && token.length <= LONGEST_TOKEN ? Position.parse(token) : undefined
  }

  /**
   * Reads what a server says it has. A set of MySQL's with a gap counts up to the gap: a replica that applies in several
   * threads may lack what is before a number it has.
   */
  static had(text: string): Position | undefined {
    return Position.#read(text, unbroken)
  }

  static #read(text: string, numberOf: NumberOf): Position | undefined {
    if (text.length > LONGEST) return undefined
    const numbers = new Map<string, GtidPart>()
    for (const part of text.split(',')) {
      const trimmed = part.trim()
      if (trimmed === '') continue
      const read = mariadb(trimmed) ?? mysql(trimmed, numberOf)
      if (read === undefined) return undefined
      if (read.number === 0n) continue
      const known = numbers.get(read.source)
      if (known === undefined || known.number < read.number) numbers.set(read.source, read)
    }
    return numbers.size === 0 ? Position.START : new Position(numbers)
  }

  get empty(): boolean {
    return this.#numbers.size === 0
  }

  /** Whether everything up to `other` is in it. */
  covers(other: Position): boolean {
    for (const [source, { number }] of other.#numbers) {
      const own = this.#numbers.get(source)
      if (own === undefined || own.number < number) return false
    }
    return true
  }

  /** The later of both, source by source. */
  merge(other: Position): Position {
    if (this === other || this.covers(other)) return this
    if (other.covers(this)) return other
    const numbers = new Map(this.#numbers)
    for (const [source, part] of other.#numbers) {
      const own = numbers.get(source)
      if (own === undefined || own.number < part.number) numbers.set(source, part)
    }
    return new Position(numbers)
  }

  /** Statement whose answer is 0 as soon as the server has it all, and something else after `milliseconds`. */
  waitStatement(milliseconds: number): string {
    const seconds = Math.max(0.001, milliseconds / 1_000)
    const ofMysql = [...this.#numbers.values()].some(({ uuid }) => uuid)
    // The text consists of digits, hex digits, dashes and colons only: it was parsed.
    return ofMysql
      ? `SELECT WAIT_FOR_EXECUTED_GTID_SET('${this.#executedSet()}', ${seconds}) AS state`
      : `SELECT MASTER_GTID_WAIT('${this}', ${seconds}) AS state`
  }

  #executedSet(): string {
    return [...this.#numbers.values()].map(({ source, number }) => `${source}:1-${number}`).join(',')
  }

  toString(): string {
    return [...this.#numbers.values()].map(({ text }) => text).join(',')
  }
}

interface GtidPart {
  readonly source: string
  readonly number: bigint
  readonly text: string
  readonly uuid: boolean
}

function mariadb(text: string): GtidPart | undefined {
  const match = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/.exec(text)
  return match === null ? undefined : { source: match[1]!, number: BigInt(match[3]!), text, uuid: false }
}

/** Numbers of one source, from and to. */
type Interval = readonly [from: bigint, to: bigint]
/** Which number stands for the intervals of one source. */
type NumberOf = (intervals: readonly Interval[]) => bigint

const highest: NumberOf = (intervals) => {
  let most = 0n
  for (const [, to] of intervals) if (to > most) most = to
  return most
}
const unbroken: NumberOf = ([first]) => (first !== undefined && first[0] === 1n ? first[1] : 0n)

const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i
const INTERVAL = /^(\d{1,19})(?:-(\d{1,19}))?$/

function mysql(text: string, numberOf: NumberOf): GtidPart | undefined {
  const [uuid = '', ...parts] = text.split(':')
  if (!UUID.test(uuid) || parts.length === 0) return undefined
  const intervals: Interval[] = []
  for (const part of parts) {
    const match = INTERVAL.exec(part)
    if (match === null) return undefined
    const from = BigInt(match[1]!)
    intervals.push([from, match[2] === undefined ? from : BigInt(match[2])])
  }
  const source = uuid.toLowerCase()
  const number = numberOf(intervals)
  return { source, number, text: `${source}:${number}`, uuid: true }
}
