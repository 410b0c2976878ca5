import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from 'node:http'

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
export async function open(url: string, { method = 'GET', headers = {}, body }: Ask = {}): Promise<IncomingMessage> {
  const request = httpRequest(url, { method, headers, agent: false })
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  // A cut connection shows in what the reader of the body sees; it is never an uncaught exception.
  request.on('error', () => {})
  return response
}

/** Sends one request and reads the answer to its end. Rejects when the connection is cut before it. */
export async function ask(url: string, init: Ask = {}): Promise<Answer> {
  const response = await open(url, init)
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  return { status: response.statusCode ?? 0, headers: response.headers, body, text: body.toString('utf8') }
}
