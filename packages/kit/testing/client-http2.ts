import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2'
import { type Answer, type Ask, readAnswer } from './client.js'
import { within } from './waiting.js'

/** A request on a session of its own, which ends with it. An error shows to the reader of the body only. */
function send(url: string, { method = 'GET', headers = {}, body }: Ask): ClientHttp2Stream {
  const { origin, pathname, search } = new URL(url)
  const session = connect(origin)
  session.on('error', () => {})
  const type = body === undefined ? {} : { 'content-type': 'text/plain' }
  const stream = session.request({ ':method': method, ':path': pathname + search, ...type, ...headers })
  stream.on('error', () => {})
  stream.once('close', () => session.close())
  stream.end(body)
  return stream
}

/** As `open` of HTTP/1: the response with its status and headers, its body still to be read. */
export async function openHttp2(url: string, init: Ask = {}): Promise<IncomingMessage> {
  const stream = send(url, init)
  const [given] = (await within(once(stream, 'response'), `a response of ${url}`)) as [IncomingHttpHeaders]
  const { ':status': statusCode, ...headers } = given
  const response: unknown = Object.assign(stream, { statusCode, headers })
  return response as IncomingMessage
}

/** As `ask` of HTTP/1: the whole answer. */
export async function askHttp2(url: string, init: Ask = {}): Promise<Answer> {
  return readAnswer(url, await openHttp2(url, init))
}

/** Begins a request whose answer nobody reads; destroying it is a client that leaves, with its connection. */
export function visitHttp2(url: string): { destroy(): unknown } {
  const stream = send(url, {})
  const { session } = stream
  stream.resume()
  return { destroy: () => session?.destroy() }
}
