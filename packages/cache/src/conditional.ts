import type { IncomingHttpHeaders } from 'node:http'
import { type Head, line } from './http-message.js'

/**
 * Whether the client holds this very response, so that 304 is the answer: `If-None-Match` by weak comparison, otherwise
 * `If-Modified-Since` (RFC 9110 sections 8.8.3.2, 13.1 and 13.2.2).
 */
export function clientHasIt(request: IncomingHttpHeaders, { status, headers }: Head): boolean {
  if (status !== 200) return false
  const asked = line(request, 'if-none-match')
  if (asked !== undefined) {
    if (asked.trim() === '*') return true
    const own = line(headers, 'etag')?.replace(/^W\//, '')
    return own !== undefined && [...asked.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, opaque]) => opaque === own)
  }
  const since = line(request, 'if-modified-since')
  const modified = line(headers, 'last-modified')
  return since !== undefined && modified !== undefined && Date.parse(modified) <= Date.parse(since)
}

/** What a 304 says of the response that the client has (RFC 9110 section 15.4.5): not its content. */
export function headersOf304<T>(headers: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !/^content-(?!location)|^transfer-encoding$/.test(name)),
  )
}
