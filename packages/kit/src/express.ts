import type { ServerResponse } from 'node:http'
import type { Verdict } from './verdict.js'

/**
 * What the Express adapters share. Written against `node:http`, which both Express 4 and Express 5 extend, so that
 * nothing here loads Express.
 */

/** Sets the verdict's headers and goes on, with the refusal if there is one. */
export function applyVerdict(verdict: Verdict, res: ServerResponse, next: (error?: unknown) => void): void {
  for (const name in verdict.headers) res.setHeader(name, verdict.headers[name]!)
  if (verdict.error === undefined) next()
  else next(verdict.error)
}

export interface TappedBody {
  /** The whole body, or `undefined` when it was larger than the cap or the response was cut off. */
  readonly body: Buffer | undefined
}

/**
 * Copies what is written to a response, up to `maxBytes`, and hands it over when the response has been sent in full.
 * The response itself is untouched: chunks, back-pressure, callbacks and trailers pass as they come. When the cap
 * is passed the copy is dropped at once.
 */
export function tapBody(res: ServerResponse, maxBytes: number, done: (tapped: TappedBody) => void): void {
  let chunks: Buffer[] | undefined = []
  let length = 0
  const keep = (chunk: unknown, encoding: unknown) => {
    if (chunks === undefined || chunk === undefined || chunk === null || typeof chunk === 'function') return
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
        : Buffer.from(chunk as Uint8Array) // a copy: the caller may reuse its buffer
    length += bytes.length
    if (length > maxBytes) chunks = undefined
    else chunks.push(bytes)
  }
  const { write, end } = res
  res.write = function (this: ServerResponse, ...args: unknown[]) {
    keep(args[0], args[1])
    return Reflect.apply(write, this, args) as boolean
  } as typeof res.write
  res.end = function (this: ServerResponse, ...args: unknown[]) {
    keep(args[0], args[1])
    res.write = write
    res.end = end
    return Reflect.apply(end, this, args) as ServerResponse
  } as typeof res.end
  res.once('close', () => {
    done({ body: res.writableFinished && chunks !== undefined ? Buffer.concat(chunks, length) : undefined })
  })
}
