import { once } from 'node:events'
import {
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http'
import { connect } from 'node:net'
import { within } from './waiting.js'

export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly text: string
}

/**
 * Sends one request on a connection of its own and waits for the response head. Plain `node:http`: what the server sent
 * is what the test sees. Destroying the message is a client that goes away.
 */
export async function open(
  url: string,
  { method = 'GET', headers = {}, body }: Ask = {},
): Promise<IncomingMessage> {
  const type = body === undefined ? {} : { 'content-type': 'text/plain' } // Fastify refuses a body without a type
  const request = httpRequest(url, { method, headers: { ...type, ...headers }, agent: false })
  request.end(body)
  try {
    const [response] = (await within(once(request, 'response'), `a response of ${method} ${url}`)) as [
      IncomingMessage,
    ]
    return response
  } finally {
    // A connection that is cut from now on shows to the reader of the body; it is never an uncaught exception.
    request.on('error', () => {})
  }
}

/** Sends one request and reads the answer to its end. Rejects when the connection is cut before it. */
export async function ask(url: string, init: Ask = {}): Promise<Answer> {
  return readAnswer(url, await open(url, init))
}

/** Reads an answer to its end. */
export async function readAnswer(url: string, response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  const read = async () => {
    for await (const chunk of response) chunks.push(chunk as Buffer)
  }
  await within(read(), `the end of the body of ${url}`)
  const body = Buffer.concat(chunks)
  return { status: response.statusCode ?? 0, headers: response.headers, body, text: body.toString('utf8') }
}

/** A client that sends a request and hangs up at once, without waiting for an answer. */
export async function askAndLeave(url: string): Promise<void> {
  const { hostname, port, pathname } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  await within(once(socket, 'connect'), 'a connection')
  await new Promise<void>((resolve) => {
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`, () => resolve())
  })
  socket.destroy()
}

/** Begins a request whose answer nobody reads; destroying it is a client that leaves. */
export function visit(url: string): ClientRequest {
  const request = httpRequest(url, { agent: false }, (response) => response.resume())
  request.on('error', () => {})
  request.end()
  return request
}
