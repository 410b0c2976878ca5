/** A placeholder of a statement and where it stands. */
export interface Mark {
  /** `??`: a name instead of a value. */
  readonly name: boolean
  /** Alone in the brackets of `IN (?)`: a list may be padded there, since repeating a value changes nothing. */
  readonly inList: boolean
}

/** A statement cut at its placeholders: `pieces` has one entry more than `marks`. */
export interface Scan {
  readonly pieces: readonly string[]
  readonly marks: readonly Mark[]
  /** The statement in capitals without comments, with `?` for each literal: what its kind can be read from. */
  readonly bare: string
  /** Something follows a `;`. */
  readonly several: boolean
  /** It has a comment that the server executes. */
  readonly hidden: boolean
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

/**
 * Reads a statement once, from left to right, in time linear to its length: a `?` inside a literal, a quoted name or
 * a comment is no placeholder.
 */
export function scan(sql: string): Scan {
  const pieces: string[] = []
  const marks: Mark[] = []
  let bare = ''
  let pieceStart = 0
  let codeStart = 0
  let several = false
  let hidden = false
  let ended = false
  let at = 0
  const code = (until: number) => {
    const text = sql.slice(codeStart, until)
    if (ended && text.trim() !== '') several = true
    bare += text
  }
  while (at < sql.length) {
    const char = sql.charCodeAt(at)
    if (char === QUOTE || char === DOUBLE_QUOTE) {
      code(at)
      bare += '?'
      at = codeStart = endOfLiteral(sql, at, char)
    } else if (char === BACKTICK) {
      const end = sql.indexOf('`', at + 1)
      at = end === -1 ? sql.length : end + 1
    } else if (char === HASH || (char === DASH && startsLineComment(sql, at))) {
      code(at)
      const end = sql.indexOf('\n', at)
      at = codeStart = end === -1 ? sql.length : end
    } else if (char === SLASH && sql.charCodeAt(at + 1) === STAR) {
      code(at)
      hidden ||= /^\/\*M?!/.test(sql.slice(at, at + 4))
      bare += ' '
      const end = sql.indexOf('*/', at + 2)
      at = codeStart = end === -1 ? sql.length : end + 2
    } else if (char === MARK) {
      const name = sql.charCodeAt(at + 1) === MARK
      const end = at + (name ? 2 : 1)
      marks.push({ name, inList: !name && standsInList(sql, at, end) })
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
  return { pieces, marks, bare: bare.toUpperCase().trim(), several, hidden }
}

/** The index after the closing quote; a doubled quote and one behind a backslash do not close. */
function endOfLiteral(sql: string, start: number, quote: number): number {
  for (let at = start + 1; at < sql.length; at++) {
    const char = sql.charCodeAt(at)
    if (char === BACKSLASH) at++
    else if (char === quote) {
      if (sql.charCodeAt(at + 1) !== quote) return at + 1
      at++
    }
  }
  return sql.length
}

/** `--` starts a comment only before white space or at the end (MySQL reference manual, "Comments"). */
function startsLineComment(sql: string, at: number): boolean {
  if (sql.charCodeAt(at + 1) !== DASH) return false
  const next = sql.charCodeAt(at + 2)
  return Number.isNaN(next) || next <= 32 || next === NEWLINE
}

function standsInList(sql: string, start: number, end: number): boolean {
  return (
    /\bIN\s*\(\s*$/i.test(sql.slice(Math.max(0, start - 40), start)) &&
    /^\s*\)/.test(sql.slice(end, end + 20))
  )
}
