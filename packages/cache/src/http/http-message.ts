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
  const headers = noHeaders()
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
  const value: unknown = headers[name]
  if (typeof value === 'string') return value
  // A name from outside, such as `constructor` in a `Vary`, must not find what every object inherits.
  return Array.isArray(value) ? value.join(', ') : undefined
}

/** Headers to be filled. Without a prototype, since names come from outside. */
export function noHeaders(): Record<string, string | string[]> {
  return Object.create(null)
}

/** Adds a field. A name that comes again makes a list, as long as it gets at no more cost for each. */
export function addHeader(
  headers: Record<string, string | string[]>,
  name: string,
  value: string | readonly string[],
): void {
  const before = headers[name]
  if (before === undefined) headers[name] = typeof value === 'string' ? value : [...value]
  else if (typeof before === 'string') headers[name] = [before].concat(value)
  else for (const each of typeof value === 'string' ? [value] : value) before.push(each)
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
  const headers = noHeaders()
  for (let i = 0; i + 1 < list.length; i += 2) {
    const value = list[i + 1]
    const text = Array.isArray(value) ? value.map(String) : String(value)
    addHeader(headers, String(list[i]).toLowerCase(), text)
  }
  return headers
}
