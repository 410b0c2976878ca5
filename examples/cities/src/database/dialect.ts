const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', 0: '\0', Z: '\x1a' }

/** How a text stands in a statement when the session's own rules for strings are not known for sure. */
const HEX_TEXT = "_utf8mb4 X'"

/**
 * A statement as the client sends it, for SQLite: MySQL's backslash escapes in strings become the doubled quotes and plain
 * characters of standard SQL, texts in hexadecimal (`_utf8mb4 X'41'`) become texts in quotes, and names in backticks become
 * names in double quotes.
 */
export function toSqlite(sql: string): string {
  let out = ''
  for (let i = 0; i < sql.length; i++) {
    const char = sql[i]!
    if (char === '`') {
      const end = sql.indexOf('`', i + 1)
      if (end === -1) return out + sql.slice(i)
      out += `"${sql.slice(i + 1, end)}"`
      i = end
    } else if (sql.startsWith(HEX_TEXT, i)) {
      const end = sql.indexOf("'", i + HEX_TEXT.length)
      if (end === -1) return out + sql.slice(i)
      const text = Buffer.from(sql.slice(i + HEX_TEXT.length, end), 'hex').toString()
      out += `'${text.replaceAll("'", "''")}'`
      i = end
    } else if (char === "'") {
      out += char
      for (i++; i < sql.length && sql[i] !== "'"; i++) {
        const escaped = sql[i] === '\\' ? sql[++i] : undefined
        const plain = escaped === undefined ? sql[i]! : (ESCAPES[escaped] ?? escaped)
        out += plain === "'" ? "''" : plain
      }
      out += "'"
    } else out += char
  }
  return out
}
