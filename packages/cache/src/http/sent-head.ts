import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { addHeader, type Head, headersAsText, noHeaders } from './http-message.js'

/**
 * The head of a response as it left for the client, whatever was put between a handler and the connection: what anybody
 * set or passed to `writeHead` stands in it, and nothing can be added any more. `undefined`: it is not written yet, or this
 * version of Node keeps it elsewhere; then nobody knows what was sent.
 *
 * HTTP/2 streams tell what they sent. For HTTP/1 the only complete record is the text that Node has made of it:
 * `getHeaders()` leaves out what was only passed to `writeHead`.
 */
export function sentHead(res: ServerResponse): Head | undefined {
  const { stream } = res as { stream?: ServerHttp2Stream }
  if (stream !== undefined) {
    const { ':status': status, ...headers } = stream.sentHeaders ?? {}
    return status === undefined ? undefined : { status: Number(status), headers: headersAsText(headers) }
  }
  const text: unknown = Reflect.get(res, '_header')
  return typeof text === 'string' ? readHead(text) : undefined
}

/** `HTTP/1.1 200 OK`, then a line for each header: as Node writes them, without folded lines. */
function readHead(text: string): Head | undefined {
  const lines = text.split('\r\n')
  const status = Number(lines[0]!.split(' ', 2)[1])
  if (!Number.isInteger(status)) return undefined
  const headers = noHeaders()
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':')
    if (colon === -1) continue
    addHeader(headers, line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return { status, headers }
}
