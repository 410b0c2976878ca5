const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', 0: '\0', Z: '\x1a' }

/**
 * A statement as mysql2 sends it, for SQLite: MySQL's backslash escapes in strings become the doubled quotes and plain
 * characters of standard SQL, and names in backticks become names in double quotes.
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
