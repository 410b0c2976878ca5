import type { ServerResponse } from 'node:http'
import type { RejectedError } from './errors.js'
import { refusalFor } from './problem.js'

/** Headers of a representation that the app meant to send: they are wrong beside another body. */
const OF_ANOTHER_BODY = [
  'Content-Encoding',
  'Content-Language',
  'Content-Range',
  'Content-Disposition',
  'Accept-Ranges',
  'ETag',
  'Last-Modified',
  'Expires',
  'Transfer-Encoding',
]

/** Sets headers, unless the head is sent already. HTTP/2 has no headers of connections (RFC 9113 section 8.2.2). */
export function setHeaders(res: ServerResponse, headers: Readonly<Record<string, string>>): void {
  if (res.headersSent) return
  for (const name in headers) {
    if (res.req?.httpVersionMajor >= 2 && name.toLowerCase() === 'connection') continue
    res.setHeader(name, headers[name]!)
  }
}

/**
 * Answers a refusal, over HTTP/1.1 or HTTP/2, without the help of a framework. No cache may store the answer (RFC 6585 section
 * 4 for status 429), whatever `Cache-Control` the app has set for its page.
 */
export function answerRefusal(error: RejectedError, res: ServerResponse): void {
  const { req } = res
  const { type, body } = refusalFor(error, req.headers.accept)
  for (const name of OF_ANOTHER_BODY) res.removeHeader(name)
  res.setHeader('Cache-Control', 'no-store')
  setHeaders(res, error.headers)
  res.statusCode = error.status
  res.setHeader('Content-Type', type)
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.setHeader('X-Content-Type-Options', 'nosniff')
  res.appendHeader('Vary', 'Accept')
  res.end(req.method === 'HEAD' ? undefined : body)
}
