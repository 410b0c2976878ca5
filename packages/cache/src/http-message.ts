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
