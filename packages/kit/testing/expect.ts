import assert from 'node:assert/strict'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { Answer } from './client.js'
import type { Handler } from './frameworks.js'
import { type Latch, latch, within } from './waiting.js'

/** What the connection and the clock decide, not the app. */
const HOP = new Set(['connection', 'date', 'keep-alive', 'transfer-encoding'])

/** Every byte value, and not valid UTF-8: what survives only when nobody turns it into text. */
export const BINARY = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))

export const COOKIES = ['a=1; Path=/', 'b=2; Path=/; HttpOnly'] as const

/** The same status, body and headers as the bare app's; of its own the adapter may add only `added`. */
export function sameAnswer(answer: Answer, bare: Answer, added: readonly string[]): void {
  assert.equal(answer.status, bare.status, 'status')
  assert.deepEqual(answer.body, bare.body, 'body')
  sameHeaders(answer.headers, bare.headers, added)
}

/** The bare app's headers with their values, and none but `added` besides. */
export function sameHeaders(
  headers: IncomingHttpHeaders,
  bare: IncomingHttpHeaders,
  added: readonly string[],
): void {
  const others = (all: IncomingHttpHeaders) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => !HOP.has(name) && !added.includes(name)))
  assert.deepEqual(others(headers), others(bare), 'headers')
}

/** The header is there, and well-formed where its form is known. */
export function hasHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  names: readonly string[],
): void {
  for (const name of names) {
    const value = headers[name]
    assert.ok(typeof value === 'string' && value !== '', `header ${name} is ${value}`)
    const form = FORMS[name]
    if (form !== undefined) assert.match(value, form, `header ${name}`)
  }
}

const QUOTED = String.raw`"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"`

/** A structured-field list (RFC 9651) of strings, each with these parameters, all of them integers or strings. */
function listOf(...required: readonly string[]): RegExp {
  const must = required.map((name) => `(?=[^,]*;${name}=\\d)`).join('')
  const item = `${QUOTED}${must}(?:; ?[a-z*][a-z0-9_.*-]*(?:=(?:-?\\d{1,15}|${QUOTED}))?)+`
  return new RegExp(`^${item}(?:, ?${item})*$`)
}

const FORMS: Readonly<Record<string, RegExp>> = {
  'retry-after': /^[1-9]\d*$/,
  ratelimit: listOf('r'),
  'ratelimit-policy': listOf('q'),
}

/** The headers of an error, by lower-case name. */
export function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

/** A route that sends one chunk, and the next only when the test has seen the one before. */
export class Chunks {
  readonly #gates: Latch[]
  readonly #chunks: readonly string[]
  readonly #headers: Readonly<Record<string, string>>
  /** How many streams were begun. */
  begun = 0

  constructor(chunks: readonly string[], headers: Readonly<Record<string, string>> = {}) {
    this.#chunks = chunks
    this.#headers = headers
    this.#gates = chunks.slice(1).map(() => latch())
  }

  readonly handler: Handler = () => {
    this.begun++
    return {
      headers: { 'content-type': 'text/plain', ...this.#headers },
      body: Readable.from(this.#produce(), { objectMode: false }),
    }
  }

  async *#produce(): AsyncGenerator<Buffer> {
    for (const [i, chunk] of this.#chunks.entries()) {
      if (i > 0) await this.#gates[i - 1]!.promise
      yield Buffer.from(chunk)
    }
  }

  /** Reads the response; each chunk is let go only when the ones before have arrived. */
  async arriveOneByOne(response: IncomingMessage): Promise<void> {
    let text = ''
    let expected = ''
    const reader = response[Symbol.asyncIterator]()
    for (const [i, chunk] of this.#chunks.entries()) {
      expected += chunk
      while (text.length < expected.length) {
        const { done, value } = await within(reader.next(), `chunk ${i + 1} of a streamed response`)
        if (done) break
        text += String(value)
      }
      assert.equal(text, expected, 'streamed text so far')
      this.release(i)
    }
    const end = await within(reader.next(), 'the end of a streamed response')
    assert.ok(end.done, 'the stream ends after its last chunk')
  }

  /** Lets the chunk after number `i` go. */
  release(i: number): void {
    this.#gates[i]?.open()
  }

  releaseAll(): void {
    for (const gate of this.#gates) gate.open()
  }
}
