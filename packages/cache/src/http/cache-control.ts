/**
 * The directives of a `Cache-Control` field (RFC 9111 section 5.2), by lower-case name. A directive without a value
 * has `''`. Of several the first counts, as the section on freshness says (4.2.1).
 */
export type Directives = ReadonlyMap<string, string>

const NONE: Directives = new Map()

/** Reads each character once, whatever a client or a handler has written. What is not a directive is passed over. */
export function directives(field: string | readonly string[] | undefined): Directives {
  if (field === undefined) return NONE
  const text = typeof field === 'string' ? field : field.join(',')
  const found = new Map<string, string>()
  // A quotation mark that is never closed hides nothing: what follows it is read as if it were not there.
  let quotes = true
  let at = 0
  while (at < text.length) {
    const start = at
    while (isToken(text.charCodeAt(at))) at++
    if (at === start) {
      at++
      continue
    }
    const name = text.slice(start, at).toLowerCase()
    const equals = afterBlanks(text, at)
    let value = ''
    if (text.charCodeAt(equals) === EQUALS) {
      const from = afterBlanks(text, equals + 1)
      const inQuotes = quotes && text.charCodeAt(from) === QUOTE ? quoted(text, from) : undefined
      if (inQuotes === undefined && text.charCodeAt(from) === QUOTE) quotes = false
      ;[value, at] = inQuotes ?? bare(text, from)
    } else at = equals
    if (!found.has(name)) found.set(name, value)
  }
  return found
}

const EQUALS = 0x3d
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

/** The characters of a token (RFC 9110 section 5.6.2). */
const TOKEN = new Set(
  [..."!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"].map((character) =>
    character.charCodeAt(0),
  ),
)

function isToken(code: number): boolean {
  return TOKEN.has(code)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function afterBlanks(text: string, from: number): number {
  let at = from
  while (isBlank(text.charCodeAt(at))) at++
  return at
}

/** A value in quotes, and where it ends; `undefined` when it is never closed. */
function quoted(text: string, open: number): [value: string, end: number] | undefined {
  const parts: string[] = []
  let from = open + 1
  let at = from
  for (; at < text.length && text.charCodeAt(at) !== QUOTE; at++) {
    if (text.charCodeAt(at) !== BACKSLASH) continue
    parts.push(text.slice(from, at))
    from = ++at
  }
  if (at >= text.length) return undefined
  parts.push(text.slice(from, at))
  return [parts.join(''), at + 1]
}

function bare(text: string, from: number): [value: string, end: number] {
  let at = from
  while (at < text.length && !isBlank(text.charCodeAt(at)) && text.charCodeAt(at) !== COMMA) {
    if (text.charCodeAt(at) === QUOTE) break
    at++
  }
  return [text.slice(from, at), at]
}

/**
 * The milliseconds in a delta-seconds directive. One that is there but not a number counts as 0: stale is the safe
 * way to misunderstand it.
 */
export function seconds(found: Directives, name: string): number | undefined {
  const value = found.get(name)
  if (value === undefined) return undefined
  return /^\d+$/.test(value) ? Math.min(Number(value), MAX_SECONDS) * 1000 : 0
}

/** RFC 9111 section 1.2.2: beyond 2^31 anything is just very long. */
const MAX_SECONDS = 2 ** 31
