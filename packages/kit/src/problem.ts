import { STATUS_CODES } from 'node:http'
import type { RejectedError } from './errors.js'

/** Body of the response to a refused client. */
export interface Refusal {
  readonly type: string
  readonly body: string
}

/** An error with members of its own for its problem document. */
export interface WithProblem {
  readonly problem?: Readonly<Record<string, unknown>>
}

/** The problem document of a refusal (RFC 9457); it holds only what the client may know. */
export function problemOf(error: RejectedError & WithProblem): Readonly<Record<string, unknown>> {
  const { code, status, problem } = error
  return { type: 'about:blank', title: phraseOf(status), status, detail: textOf(error), code, ...problem }
}

/** A problem document for a client that asks for JSON, a line of text for any other. */
export function refusalFor(error: RejectedError, accept: string | undefined): Refusal {
  return prefersJson(accept)
    ? { type: 'application/problem+json; charset=utf-8', body: JSON.stringify(problemOf(error)) }
    : { type: 'text/plain; charset=utf-8', body: `${textOf(error)}\n` }
}

function textOf({ expose, message, status }: RejectedError): string {
  return expose ? message : phraseOf(status)
}

function phraseOf(status: number): string {
  return STATUS_CODES[status] ?? 'Refused'
}

/** Node accepts heads of 16 KiB; parsing that much for a refused client would be work for an attacker to ask for. */
const LONGEST = 1_024

/** Whether the field names JSON, with no lower quality than text (RFC 9110 section 12.5.1). Linear in its length. */
function prefersJson(accept = ''): boolean {
  let [json, text] = [0, 0]
  for (const range of accept.slice(0, LONGEST).toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim())
    const quality = qualityOf(parameters)
    if (type.endsWith('/json') || type.endsWith('+json')) json = Math.max(json, quality)
    else if (type.startsWith('text/')) text = Math.max(text, quality)
  }
  return json > 0 && json >= text
}

function qualityOf(parameters: readonly string[]): number {
  const given = parameters.find((parameter) => parameter.startsWith('q='))
  const quality = given === undefined ? 1 : Number(given.slice(2))
  return quality >= 0 && quality <= 1 ? quality : 0
}
