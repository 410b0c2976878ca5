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
    const tag = line(headers, 'etag')
    return tag !== undefined && names(asked, tag.startsWith('W/') ? tag.slice(2) : tag)
  }
  const since = line(request, 'if-modified-since')
  const modified = line(headers, 'last-modified')
  return since !== undefined && modified !== undefined && Date.parse(modified) <= Date.parse(since)
}

/** Whether a list of entity tags has this one, quotes included; a comma may be part of a tag. Each character is read once. */
function names(list: string, opaque: string): boolean {
  for (let open = list.indexOf('"'); open !== -1; ) {
    const close = list.indexOf('"', open + 1)
    if (close === -1) return false
    if (list.slice(open, close + 1) === opaque) return true
    open = list.indexOf('"', close + 1)
  }
  return false
}

/** What a 304 says of the response that the client has (RFC 9110 section 15.4.5): not its content. */
export function headersOf304<T>(headers: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !isOfContent(name)))
}

function isOfContent(name: string): boolean {
  return (name.startsWith('content-') && name !== 'content-location') || name === 'transfer-encoding'
}
