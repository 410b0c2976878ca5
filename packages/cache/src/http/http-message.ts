import type { IncomingHttpHeaders } from 'node:http'

/** Headers as Node and the frameworks keep them. */
export type HeadersGiven = Readonly<Record<string, number | string | string[] | undefined>>

/** The head of a response, with lower-case names. */
export interface Head {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[]>>
}

/** Turns headers as Node keeps them into text. */
export function headersAsText(given: HeadersGiven): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {}
  for (const name in given) {
    const value = given[name]
    if (value === undefined) continue
    headers[name.toLowerCase()] = Array.isArray(value) ? value.map(String) : String(value)
  }
  return headers
}

/** A header of a request or a response as one text, as if it had been sent on one line (RFC 9110 section 5.3). */
export function line(
  headers: IncomingHttpHeaders | Readonly<Record<string, string | string[]>>,
  name: string,
): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** The members of a list such as `Vary` or `Connection`, in lower case. */
export function members(field: string | undefined): string[] {
  if (field === undefined) return []
  return field
    .split(',')
    .map((member) => member.trim().toLowerCase())
    .filter((member) => member !== '')
}

/** The headers in the arguments of `writeHead`: an object, a flat list or a list of pairs, after an optional reason. */
export function headersGiven(args: readonly unknown[]): Record<string, string | string[]> {
  const given = typeof args[1] === 'string' ? args[2] : args[1]
  if (!Array.isArray(given)) return headersAsText((given ?? {}) as HeadersGiven)
  const list: unknown[] = Array.isArray(given[0]) ? given.flat(1) : given
  const headers: Record<string, string | string[]> = {}
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = String(list[i]).toLowerCase()
    const before = headers[name]
    const value = list[i + 1]
    const text = Array.isArray(value) ? value.map(String) : String(value)
    headers[name] = before === undefined ? text : [before, text].flat()
  }
  return headers
}
