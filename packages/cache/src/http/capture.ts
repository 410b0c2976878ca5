import type { ServerResponse } from 'node:http'
import { headersOf304 } from './conditional.js'
import { type Head, headersAsText, headersGiven } from './http-message.js'
import { sentHead } from './sent-head.js'

/** A response in full. */
export interface Answer extends Head {
  /** Headers of this moment: the age, and what the cache did. They go after the others. */
  readonly told: Readonly<Record<string, string>>
  readonly body: Buffer
}

/**
 * What is known of a body when its head is written: it is there in full; it comes, and ends by itself; or it comes piece by
 * piece from somewhere, and nobody can say how long.
 */
export type Course = 'complete' | 'coming' | 'stream'

/** Watches a response being sent. */
export interface CaptureListener {
  /** Another answer to send in place of the one that begins with this status. */
  instead(status: number): Answer | undefined
  /** The head is about to be sent; headers may still be added, here and by those who stand before the cache. */
  head(
    head: Head,
    course: Course,
  ): {
    /** The body is wanted. */
    readonly keep: boolean
    /** The client has the response already: it is sent a 304 without the body. */
    readonly notModified: boolean
    /** The `Cache-Status` to send, if any. */
    readonly status: string | undefined
  }
  /** The head as it was sent. False: the body is not wanted any more. */
  sent(head: Head): boolean
  /** All of the body was written, and the head is known; `undefined`: more than was wanted. */
  end(body: Buffer | undefined): void
  /** The response broke off. */
  lost(): void
  /** It was sent, but past the cache: nobody knows what. */
  unknown(): void
  /** One of these has thrown. */
  broke(error: unknown): void
}

/**
 * Copies a response while it is sent, up to `maxBytes` of body. The response itself is untouched: chunks, back-pressure
 * and callbacks pass as they come. What is seen is what passes here: with a compression middleware that was mounted
 * before, the body as it is; with one mounted after, the compressed body with its `Content-Encoding`.
 */
export function capture(res: ServerResponse, maxBytes: number, listener: CaptureListener): void {
  new Tap(res, maxBytes, listener)
}

class Tap {
  readonly #res: ServerResponse
  readonly #maxBytes: number
  readonly #listener: CaptureListener
  readonly #writeHead: ServerResponse['writeHead']
  readonly #write: ServerResponse['write']
  readonly #end: ServerResponse['end']
  #chunks: Buffer[] | undefined = []
  #length = 0
  /** The handler's head came by here. */
  #passed = false
  /** What was sent as the head is known. */
  #known = false
  #ended = false
  /** The recorder was told the end. */
  #over = false
  #within: 'write' | 'end' | undefined
  #piped = false
  /** The body of another answer that is sent in place of the handler's. */
  #substitute: Buffer | undefined

  constructor(res: ServerResponse, maxBytes: number, listener: CaptureListener) {
    this.#res = res
    this.#maxBytes = maxBytes
    this.#listener = listener
    this.#writeHead = res.writeHead
    this.#write = res.write
    this.#end = res.end
    res.writeHead = ((...args: unknown[]) => this.#onHead(args)) as typeof res.writeHead
    res.write = ((...args: unknown[]) => this.#onWrite(args)) as typeof res.write
    res.end = ((...args: unknown[]) => this.#onEnd(args)) as typeof res.end
    res.once('pipe', () => {
      this.#piped = true
    })
    res.once('finish', () => this.#onFinish())
    res.once('close', () => this.#conclude(() => this.#listener.lost()))
  }

  #onHead(args: unknown[]): unknown {
    if (this.#passed) {
      return this.#pass(this.#writeHead, this.#substitute === undefined ? args : [this.#res.statusCode])
    }
    const status = Number(args[0])
    const answer = this.#replaced(status)
    if (answer !== undefined) return this.#pass(this.#writeHead, [answer.status])
    this.#passed = true
    const given = headersGiven(args)
    const head = { status, headers: { ...headersAsText(this.#res.getHeaders()), ...given } }
    const result = this.#pass(this.#writeHead, this.#changed(args, given, head))
    this.#look()
    return result
  }

  /** The arguments of `writeHead`, with what the cache has to say. */
  #changed(args: unknown[], given: Head['headers'], head: Head): unknown[] {
    const res = this.#res
    const plan = this.#safely(() => this.#listener.head(head, this.#courseOf(head)))
    if (!plan?.keep) this.#chunks = undefined
    if (plan === undefined) return args
    const { notModified, status } = plan
    if (!notModified) {
      if (status === undefined) return args
      // What `writeHead` is given counts more than what was set before.
      if ('cache-status' in given) {
        const reason = typeof args[1] === 'string' ? [args[1]] : []
        return [args[0], ...reason, { ...given, 'cache-status': status }]
      }
      res.setHeader('cache-status', status)
      return args
    }
    for (const name of res.getHeaderNames()) res.removeHeader(name)
    for (const [name, value] of Object.entries(headersOf304(head.headers))) res.setHeader(name, value)
    if (status !== undefined) res.setHeader('cache-status', status)
    res.statusCode = 304
    return [304]
  }

  #courseOf({ headers }: Head): Course {
    if (this.#within === 'end') return 'complete'
    const open = headers['content-length'] === undefined
    return open && (this.#piped || this.#within === 'write') ? 'stream' : 'coming'
  }

  #onWrite(args: unknown[]): unknown {
    if (!this.#passed) this.#replaced(this.#res.statusCode)
    if (this.#substitute !== undefined) return true
    this.#keep(args[0], args[1])
    if (this.#within !== undefined) return this.#pass(this.#write, args)
    this.#within = 'write'
    try {
      return this.#pass(this.#write, args)
    } finally {
      this.#within = undefined
      this.#look()
    }
  }

  #onEnd(args: unknown[]): unknown {
    if (this.#ended) return this.#pass(this.#end, args)
    if (!this.#passed) this.#replaced(this.#res.statusCode)
    this.#ended = true
    if (this.#substitute !== undefined) return this.#pass(this.#end, [this.#substitute])
    this.#keep(args[0], args[1])
    this.#within = 'end' // HTTP/2 writes the last chunk by `write`
    const result = this.#pass(this.#end, args)
    if (isGone(this.#res)) this.#conclude(() => this.#listener.lost())
    this.#look()
    return result
  }

  /** Nothing can be added to what was sent. */
  #onFinish(): void {
    this.#look()
    this.#conclude(() => this.#listener.unknown())
  }

  /** Looks whether the head has been sent, which those who stand before the cache may put off. */
  #look(): void {
    if (!this.#passed || this.#over) return
    if (!this.#known) {
      const head = sentHead(this.#res)
      if (head === undefined) return
      this.#known = true
      if (this.#safely(() => this.#listener.sent(head)) !== true) this.#chunks = undefined
    }
    if (this.#ended) {
      this.#conclude(() => this.#listener.end(this.#chunks && Buffer.concat(this.#chunks, this.#length)))
    }
  }

  #conclude(tell: () => void): void {
    if (this.#over) return
    this.#over = true
    this.#safely(tell)
    this.#chunks = undefined
  }

  #keep(chunk: unknown, encoding: unknown): void {
    if (this.#chunks === undefined || this.#within !== undefined) return
    if (chunk === undefined || chunk === null || typeof chunk === 'function') return
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
        : Buffer.from(chunk as Uint8Array) // a copy: the caller may reuse its buffer
    this.#length += bytes.length
    if (this.#length <= this.#maxBytes) this.#chunks.push(bytes)
    else {
      this.#chunks = undefined
      // Those who wait for this response need not wait for the rest of it.
      if (this.#passed) this.#conclude(() => this.#listener.end(undefined))
    }
  }

  #replaced(status: number): Answer | undefined {
    const res = this.#res
    const answer = res.headersSent ? undefined : this.#safely(() => this.#listener.instead(status))
    if (answer === undefined) return undefined
    this.#passed = true
    this.#over = true
    this.#chunks = undefined
    this.#substitute = answer.body
    for (const name of res.getHeaderNames()) res.removeHeader(name)
    for (const name in answer.headers) res.setHeader(name, answer.headers[name]!)
    for (const name in answer.told) res.setHeader(name, answer.told[name]!)
    res.statusCode = answer.status
    if (!('stream' in res)) res.statusMessage = '' // HTTP/2 has none
    return answer
  }

  #pass(method: unknown, args: unknown[]): unknown {
    return Reflect.apply(method as () => unknown, this.#res, args)
  }

  /** What fails here must not fail the app. */
  #safely<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      this.#listener.broke(error)
      return undefined
    }
  }
}

function isGone(res: ServerResponse): boolean {
  const { stream } = res as { stream?: { destroyed: boolean } }
  return res.destroyed || stream?.destroyed === true
}
