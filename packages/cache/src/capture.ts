import type { ServerResponse } from 'node:http'
import { headersOf304 } from './conditional.js'
import { type Head, type HeadersGiven, headersAsText } from './http-message.js'

/** A response in full. */
export interface Answer extends Head {
  /** Headers of this moment: the age, and what the cache did. They go after the others. */
  readonly told: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** Watches a response being sent. */
export interface Recorder {
  /** Another answer to send in place of the one that begins with this status. */
  instead(status: number): Answer | undefined
  /** The head is about to be sent; headers may still be added. */
  head(head: Head): {
    /** The body is wanted. */
    readonly keep: boolean
    /** The client has the response already: it is sent a 304 without the body. */
    readonly notModified: boolean
    /** The `Cache-Status` to send, if any. */
    readonly status: string | undefined
  }
  /** All of the body was written; `undefined`: more than was wanted. */
  end(body: Buffer | undefined): void
  /** The response broke off. */
  lost(): void
}

/**
 * Copies a response while it is sent, up to `maxBytes` of body. The response itself is untouched: chunks, back-pressure
 * and callbacks pass as they come. What is seen is what passes here: with a compression middleware that was mounted
 * before, the body as it is; with one mounted after, the compressed body with its `Content-Encoding`.
 */
export function capture(res: ServerResponse, maxBytes: number, recorder: Recorder): void {
  const { writeHead, write, end } = res
  let chunks: Buffer[] | undefined = []
  let length = 0
  let headSeen = false
  let ended = false
  let inside = false
  let substitute: Buffer | undefined

  const keep = (chunk: unknown, encoding: unknown) => {
    if (
      chunks === undefined ||
      inside ||
      chunk === undefined ||
      chunk === null ||
      typeof chunk === 'function'
    )
      return
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
        : Buffer.from(chunk as Uint8Array) // a copy: the caller may reuse its buffer
    length += bytes.length
    if (length <= maxBytes) chunks.push(bytes)
    else {
      chunks = undefined
      // Those who wait for this response need not wait for the rest of it.
      if (headSeen) recorder.end(undefined)
    }
  }
  const replaced = (status: number): Answer | undefined => {
    const answer = headSeen || res.headersSent ? undefined : recorder.instead(status)
    if (answer === undefined) return undefined
    headSeen = true
    chunks = undefined
    substitute = answer.body
    for (const name of res.getHeaderNames()) res.removeHeader(name)
    for (const name in answer.headers) res.setHeader(name, answer.headers[name]!)
    for (const name in answer.told) res.setHeader(name, answer.told[name]!)
    res.statusCode = answer.status
    res.statusMessage = ''
    return answer
  }

  res.writeHead = ((...args: Parameters<typeof writeHead>) => {
    if (headSeen) return Reflect.apply(writeHead, res, substitute === undefined ? args : [res.statusCode])
    const answer = replaced(args[0])
    if (answer !== undefined) return Reflect.apply(writeHead, res, [answer.status])
    headSeen = true
    const given = headersGiven(args)
    const head = { status: args[0], headers: { ...headersAsText(res.getHeaders()), ...given } }
    const { keep: wanted, notModified, status } = recorder.head(head)
    if (!wanted) chunks = undefined
    if (!notModified) {
      if (status === undefined) return Reflect.apply(writeHead, res, args)
      // What `writeHead` is given counts more than what was set before.
      if ('cache-status' in given) {
        const reason = typeof args[1] === 'string' ? [args[1]] : []
        return Reflect.apply(writeHead, res, [args[0], ...reason, { ...given, 'cache-status': status }])
      }
      res.setHeader('cache-status', status)
      return Reflect.apply(writeHead, res, args)
    }
    for (const name of res.getHeaderNames()) res.removeHeader(name)
    for (const [name, value] of Object.entries(headersOf304(head.headers))) res.setHeader(name, value)
    if (status !== undefined) res.setHeader('cache-status', status)
    res.statusCode = 304
    return Reflect.apply(writeHead, res, [304])
  }) as typeof writeHead

  res.write = ((...args: unknown[]) => {
    replaced(res.statusCode)
    if (substitute !== undefined) return true
    keep(args[0], args[1])
    return Reflect.apply(write, res, args)
  }) as typeof write

  res.end = ((...args: unknown[]) => {
    if (ended) return Reflect.apply(end, res, args)
    replaced(res.statusCode)
    ended = true
    if (substitute !== undefined) return Reflect.apply(end, res, [substitute])
    keep(args[0], args[1])
    inside = true // HTTP/2 writes the last chunk by `write`
    const result = Reflect.apply(end, res, args)
    if (res.destroyed) recorder.lost()
    else recorder.end(chunks && Buffer.concat(chunks, length))
    return result
  }) as typeof end

  res.once('close', () => {
    if (!ended) recorder.lost()
  })
}

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

/** The headers in the arguments of `writeHead`: an object or a flat list, after an optional reason. */
function headersGiven(args: readonly unknown[]): Record<string, string | string[]> {
  const given = typeof args[1] === 'string' ? args[2] : args[1]
  if (!Array.isArray(given)) return headersAsText((given ?? {}) as HeadersGiven)
  const headers: Record<string, string | string[]> = {}
  for (let i = 0; i + 1 < given.length; i += 2) {
    const name = String(given[i]).toLowerCase()
    const before = headers[name]
    const value = String(given[i + 1])
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  return headers
}
