import type { IncomingMessage } from 'node:http'
import { InputError } from './cities.js'

/**
 * The JSON in the body of a request, for Koa, which has no parser of its own.
 *
 * @throws InputError when it is none, or larger than `maxBytes`
 */
export async function jsonBody(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    length += (chunk as Buffer).length
    if (length > maxBytes) throw new InputError(`The body may have ${maxBytes} bytes.`)
    chunks.push(chunk as Buffer)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    throw new InputError('The body must be JSON: { "who": "Ada" }')
  }
}
