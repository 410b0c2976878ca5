/** A placeholder of a statement and where it stands. */
export interface Placeholder {
  /** `??`: a name instead of a value. */
  readonly name: boolean
  /** Alone in the brackets of `IN (?)`: a list may be padded there, since repeating a value changes nothing. */
  readonly inList: boolean
}

/** A statement cut at its placeholders: `pieces` has one entry more than `placeholders`. */
export interface Scan {
  readonly pieces: readonly string[]
  readonly placeholders: readonly Placeholder[]
  /**
   * The statement in capitals without comments, with `?` for each literal and one blank for any white space: what its
   * kind can be read from.
   */
  readonly bare: string
  /** Something follows a `;`. */
  readonly several: boolean
  /** It has a comment that the server executes. */
  readonly hidden: boolean
  /** A literal in it ends elsewhere when a backslash is read in the other way. */
  readonly doubtful: boolean
  /**
   * Where its literals end cannot be known: something in double quotes ends elsewhere when it is a name (`ANSI_QUOTES`), or
   * a comment that the server executes has a quote in it.
   */
  readonly ambiguous: boolean
}

const QUOTE = 39
const DOUBLE_QUOTE = 34
const BACKTICK = 96
const BACKSLASH = 92
const HASH = 35
const DASH = 45
const SLASH = 47
const STAR = 42
const MARK = 63
const SEMICOLON = 59
const NEWLINE = 10
const EXCLAMATION = 33
const CAPITAL_M = 77

/**
 * Reads a statement once, from left to right, in time linear to its length: a `?` inside a literal, a quoted name or
 * a comment is no placeholder.
 *
 * @param plain a backslash means itself (`NO_BACKSLASH_ESCAPES`), instead of escaping what follows
 */
export function scan(sql: string, plain = false): Scan {
  const pieces: string[] = []
  const placeholders: Placeholder[] = []
  const bare = new Bare()
  let pieceStart = 0
  let codeStart = 0
  let several = false
  let hidden = false
  let doubtful = false
  let ambiguous = false
  let ended = false
  let at = 0
  const code = (until: number) => {
    const isBlank = bare.add(sql, codeStart, until)
    if (ended && !isBlank) several = true
  }
  while (at < sql.length) {
    const char = sql.charCodeAt(at)
    if (char === QUOTE || char === DOUBLE_QUOTE) {
      code(at)
      bare.literal()
      const end = endOfLiteral(sql, at, char, plain)
      // Once each: what is known already is not looked for in all the rest of the text again.
      const isKnown = char === DOUBLE_QUOTE ? ambiguous : doubtful
      if (!isKnown && end.doubtful && endOfLiteral(sql, at, char, !plain).at !== end.at) {
        doubtful = true
        ambiguous ||= char === DOUBLE_QUOTE
      }
      at = codeStart = end.at
    } else if (char === BACKTICK) {
      const end = sql.indexOf('`', at + 1)
      at = end === -1 ? sql.length : end + 1
    } else if (char === HASH || (char === DASH && startsLineComment(sql, at))) {
      code(at)
      const end = sql.indexOf('\n', at)
      at = codeStart = end === -1 ? sql.length : end
    } else if (char === SLASH && sql.charCodeAt(at + 1) === STAR) {
      code(at)
      bare.blank()
      const end = sql.indexOf('*/', at + 2)
      if (isExecuted(sql, at + 2)) {
        hidden = true
        ambiguous ||= /['"`]/.test(sql.slice(at, end === -1 ? sql.length : end))
      }
      at = codeStart = end === -1 ? sql.length : end + 2
    } else if (char === MARK) {
      const name = sql.charCodeAt(at + 1) === MARK
      const end = at + (name ? 2 : 1)
      placeholders.push({ name, inList: !name && standsInList(sql, at, end) })
      pieces.push(sql.slice(pieceStart, at))
      at = pieceStart = end
    } else {
      if (char === SEMICOLON) {
        code(at)
        codeStart = at + 1
        ended = true
      }
      at++
    }
  }
  code(sql.length)
  pieces.push(sql.slice(pieceStart))
  return { pieces, placeholders, bare: bare.toString(), several, hidden, doubtful, ambiguous }
}

/** The text of a statement, taken piece by piece. Its white space is made one blank, so that patterns need no repetition. */
class Bare {
  #text = ''
  #gap = false

  /** Whether there was nothing but white space. */
  add(sql: string, from: number, until: number): boolean {
    let start = from
    let blank = true
    for (let at = from; at < until; at++) {
      if (!isSpace(sql.charCodeAt(at))) {
        blank = false
        continue
      }
      this.#word(sql, start, at)
      this.#gap = true
      start = at + 1
    }
    this.#word(sql, start, until)
    return blank
  }

  literal(): void {
    this.#put('?')
  }

  blank(): void {
    this.#gap = true
  }

  toString(): string {
    return this.#text.toUpperCase()
  }

  #word(sql: string, from: number, until: number): void {
    if (until > from) this.#put(sql.slice(from, until))
  }

  #put(text: string): void {
    if (this.#gap && this.#text !== '') this.#text += ' '
    this.#gap = false
    this.#text += text
  }
}

/** What the server takes for white space, and the few more that a text may have around it. */
function isSpace(char: number): boolean {
  return char <= 32 || char === 0xa0 || char === 0xfeff
}

/** `/*!` and MariaDB's `/*M!`, given where the comment's own text begins. */
function isExecuted(sql: string, at: number): boolean {
  const first = sql.charCodeAt(at)
  return first === EXCLAMATION || (first === CAPITAL_M && sql.charCodeAt(at + 1) === EXCLAMATION)
}

/**
 * The index after the closing quote; a doubled quote does not close, nor does one behind a backslash that escapes.
 * `doubtful`: there is a backslash in it.
 */
function endOfLiteral(
  sql: string,
  start: number,
  quote: number,
  plain: boolean,
): { readonly at: number; readonly doubtful: boolean } {
  let doubtful = false
  for (let at = start + 1; at < sql.length; at++) {
    const char = sql.charCodeAt(at)
    if (char === BACKSLASH) {
      doubtful = true
      if (!plain) at++
    } else if (char === quote) {
      if (sql.charCodeAt(at + 1) !== quote) return { at: at + 1, doubtful }
      at++
    }
  }
  return { at: sql.length, doubtful }
}

/** `--` starts a comment only before white space or at the end (MySQL reference manual, "Comments"). */
function startsLineComment(sql: string, at: number): boolean {
  if (sql.charCodeAt(at + 1) !== DASH) return false
  const next = sql.charCodeAt(at + 2)
  return Number.isNaN(next) || next <= 32 || next === NEWLINE
}

/** Whether `IN (` stands before and `)` behind it, with at most a few blanks between. */
function standsInList(sql: string, start: number, end: number): boolean {
  return (
    /\bIN\s{0,16}\(\s{0,16}$/i.test(sql.slice(Math.max(0, start - 40), start)) &&
    /^\s{0,16}\)/.test(sql.slice(end, end + 20))
  )
}
