import type { ServerResponse } from 'node:http'
import { answerRefusal, setHeaders } from './answer.js'
import { isDeparture } from './departure.js'
import { RejectedError } from './errors.js'
import { haveLastWord } from './last-word.js'
import { defineOptions, oneOf } from './options.js'
import type { Verdict } from './verdict.js'

export { haveLastWord } from './last-word.js'

/**
 * What the Express adapters share. Written against `node:http`, which both Express 4 and Express 5 extend, so that
 * nothing here loads Express, and the adapters work with whatever calls `(req, res, next)`.
 */

type Next = (error?: unknown) => void

/** What every gate of Express takes. */
export interface RefusalOptions {
  /**
   * What becomes of a refusal. `'auto'`: it goes to the error handlers of the app, and is answered here when there are
   * none, or when they pass it on; Express would print it on stderr and send an HTML page. `'answer'`: it is answered
   * here at once, as text or as a problem document (RFC 9457), whichever the client prefers. `'next'`: it is left to
   * `next(error)`. Outside of Express, `'auto'` is `'next'`. Default: `'auto'`.
   */
  readonly onRefused?: OnRefused
}

export type OnRefused = 'auto' | 'answer' | 'next'

/**
 * Takes `onRefused` out of the options of an adapter; the rest is what all frameworks have.
 *
 * @throws TypeError `ERR_<PACKAGE>_OPTION`
 */
export function refusalOptions<O extends object>(
  pkg: string,
  owner: string,
  options: O & RefusalOptions,
): [onRefused: OnRefused, rest: O] {
  // What is no object is refused by the options of the adapter itself.
  if (typeof options !== 'object' || options === null) return ['auto', options]
  const { onRefused, ...rest } = options
  const resolve = defineOptions(
    pkg,
    owner,
    { onRefused: oneOf('auto', 'answer', 'next') },
    { onRefused: 'auto' },
  )
  return [resolve({ onRefused }).onRefused, rest as object as O]
}

/** Sets the verdict's headers and goes on, or refuses. */
export function applyVerdict(verdict: Verdict, res: ServerResponse, next: Next, onRefused?: OnRefused): void {
  for (const name in verdict.headers) res.setHeader(name, verdict.headers[name]!)
  if (verdict.error === undefined) next()
  else refuse(verdict.error, res, next, onRefused)
}

/**
 * Hands an error on. The headers of a refusal are set on the response, for error handlers that know nothing of them.
 * Nobody is there to read an answer, or a log line, about a client that left.
 */
export function refuse(error: unknown, res: ServerResponse, next: Next, onRefused: OnRefused = 'auto'): void {
  if (isDeparture(error, res)) return
  if (!(error instanceof RejectedError) || res.headersSent) {
    next(error)
    return
  }
  if (onRefused === 'answer') {
    answerRefusal(error, res)
    return
  }
  setHeaders(res, error.headers)
  if (onRefused === 'auto') haveLastWord(res.req)
  next(error)
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
