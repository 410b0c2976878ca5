import type { ServerResponse } from 'node:http'
import { type Head, headersAsText, headersGiven } from './http-message.js'

/**
 * Lets a response end only after some work, which begins when its head is known: a write is over for its client when
 * the next read will see it.
 */
export function beforeEnd(res: ServerResponse, begin: (head: Head) => Promise<void> | undefined): void {
  const { writeHead, end } = res
  let work: Promise<void> | undefined
  let headSeen = false
  let ended = false
  res.writeHead = ((...args: Parameters<typeof writeHead>) => {
    if (!headSeen) {
      headSeen = true
      work = begin({
        status: args[0],
        headers: { ...headersAsText(res.getHeaders()), ...headersGiven(args) },
      })
    }
    return Reflect.apply(writeHead, res, args)
  }) as typeof writeHead
  res.end = ((...args: unknown[]) => {
    if (ended) return res
    if (!res.headersSent) {
      setLength(res, args[0], args[1])
      res.writeHead(res.statusCode)
    }
    ended = true
    if (work === undefined) return Reflect.apply(end, res, args)
    void work.then(() => Reflect.apply(end, res, args))
    return res
  }) as typeof end
}

/** Node says how long a body is when it is given all at once; sending the head early must not lose that. */
function setLength(res: ServerResponse, chunk: unknown, encoding: unknown): void {
  if (res.hasHeader('content-length') || res.hasHeader('transfer-encoding')) return
  if (res.statusCode === 204 || res.statusCode === 304 || res.req.method === 'HEAD') return
  const length =
    typeof chunk === 'string'
      ? Buffer.byteLength(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
      : chunk instanceof Uint8Array
        ? chunk.byteLength
        : 0
  res.setHeader('content-length', length)
}
