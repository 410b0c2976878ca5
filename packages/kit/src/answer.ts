import type { ServerResponse } from 'node:http'
import type { RejectedError } from './errors.js'
import { refusalFor } from './problem.js'

/** Sets headers, as long as there is time; HTTP/2 has none of connections (RFC 9113 section 8.2.2). */
export function setHeaders(res: ServerResponse, headers: Readonly<Record<string, string>>): void {
  if (res.headersSent) return
  for (const name in headers) {
    if (res.req?.httpVersionMajor >= 2 && name.toLowerCase() === 'connection') continue
    res.setHeader(name, headers[name]!)
  }
}

/** Answers a refusal, over HTTP/1.1 or HTTP/2, without the help of a framework. */
export function answerRefusal(error: RejectedError, res: ServerResponse): void {
  const { req } = res
  const { type, body } = refusalFor(error, req.headers.accept)
  setHeaders(res, error.headers)
  res.statusCode = error.status
  res.setHeader('Content-Type', type)
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.setHeader('X-Content-Type-Options', 'nosniff')
  res.appendHeader('Vary', 'Accept')
  res.end(req.method === 'HEAD' ? undefined : body)
}
