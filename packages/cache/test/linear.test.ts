import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { Bus, tellsOfKeys } from '../src/coherence/bus.js'
import { readFrame } from '../src/entry/frame.js'
import { directives } from '../src/http/cache-control.js'
import { clientHasIt } from '../src/http/conditional.js'
import { members } from '../src/http/http-message.js'
import { credentialsOf, storing, wishesOf } from '../src/http/http-policy.js'
import { unpackRecord } from '../src/http/stored-response.js'
import { resourceOf, variantOf } from '../src/http/visit.js'
import { storeKey } from '../src/stores/store-key.js'

/**
 * What reads from a client, a store or a peer does so in linear time. Each parser is given 600,000 characters of each
 * of the kinds that make others slow: linear, that takes milliseconds; quadratic, minutes each, and the test does not end.
 */

const SIZE = 600_000
const filled = (piece: string) => piece.repeat(Math.ceil(SIZE / piece.length))

const HOSTILE: Readonly<Record<string, string>> = {
  blanks: `a${filled(' ')}b`,
  'tabs and blanks': `a${filled('\t ')}b`,
  'blanks before a comma': `a${filled(' ')},b`,
  commas: filled(','),
  'commas and blanks': filled(' , '),
  'quotation marks': filled('"'),
  'an open quotation mark': `a="${filled('x')}`,
  'open quotation marks': filled('a="'),
  'escaped quotation marks': `a="${filled('a="\\"')}`,
  backslashes: `a="${filled('\\')}`,
  'equals signs': filled('a= '),
  'names without a value': filled('a '),
  semicolons: filled(';'),
  'semicolons and blanks': filled(' ; '),
  weights: filled(';q=0.0'),
  'a long weight': `gzip;q=0.${filled('0')}x`,
  digits: `max-age=${filled('9')}`,
  tags: filled('W/"a", '),
  'open tags': filled('W/"a, '),
  brackets: filled('['),
  'one word': filled('x'),
}

const requestOf = (headers: IncomingHttpHeaders) => ({ headers, socket: {} }) as IncomingMessage
const asker = { credentials: 'none', partitioned: false } as const
const policy = { ttl: 1, swr: false, staleIfError: false } as const

const PARSERS: Readonly<Record<string, (text: string) => unknown>> = {
  'Cache-Control': (text) => directives(text),
  'Cache-Control and Pragma of a request': (text) => [
    wishesOf(requestOf({ 'cache-control': text })),
    wishesOf(requestOf({ pragma: text })),
  ],
  'lists, as in Vary and Connection': (text) => members(text),
  'a header that a response varies by': (text) => variantOf({ 'accept-language': text }, ['accept-language']),
  'Accept-Encoding': (text) => variantOf({ 'accept-encoding': text }, ['accept-encoding']),
  'If-None-Match': (text) =>
    clientHasIt({ 'if-none-match': text }, { status: 200, headers: { etag: '"b"' } }),
  'If-Modified-Since': (text) =>
    clientHasIt({ 'if-modified-since': text }, { status: 200, headers: { 'last-modified': text } }),
  'Cookie and Authorization': (text) =>
    credentialsOf(requestOf({ cookie: text, authorization: text }), ['cookie', 'authorization']),
  'the target and its authority': (text) =>
    resourceOf(
      {
        req: requestOf({ host: text, 'x-forwarded-host': text, 'x-original-url': text, forwarded: text }),
        scheme: text,
        url: text,
        target: `${text}?`,
      },
      text,
    ),
  'the head of a response': (text) =>
    storing(
      asker,
      { status: 200, headers: { 'cache-control': text, vary: text, expires: text, date: text, age: text } },
      policy,
    ),
  'Expires and Date': (text) =>
    storing(asker, { status: 200, headers: { expires: text, date: text } }, policy),
  'a message of the bus': (text) => [tellsOfKeys(text), tellsOfKeys(`["${text}`), new Bus('me').read(text)],
  'a key for a store': (text) => storeKey(text, 512),
  'a stored response': (text) => {
    const bytes = Buffer.from(`\0\0\0\0${text}`)
    bytes.writeUInt32BE(bytes.length - 4, 0)
    return unpackRecord(bytes)
  },
  'a frame of a store': (text) => {
    try {
      return readFrame(Buffer.from(text), SIZE)
    } catch {
      return undefined
    }
  },
}

describe.each(Object.entries(PARSERS))('%s', (_name, parse) => {
  it('S4 costs in proportion to its length', () => {
    for (const text of Object.values(HOSTILE)) parse(text)
  }, 60_000)
})

it('S4 reads Cache-Control as it is written', () => {
  const read = (text: string) => Object.fromEntries(directives(text))
  expect(read('Public, max-age = 60 ,s-maxage="5"')).toEqual({ public: '', 'max-age': '60', 's-maxage': '5' })
  expect(read('private="set-cookie, \\"a\\"", a=b c')).toEqual({ private: 'set-cookie, "a"', a: 'b', c: '' })
  expect(read('max-age=1, max-age=2')).toEqual({ 'max-age': '1' })
  // A mark that is never closed hides no directive.
  expect(read('ext="open, no-store')).toMatchObject({ 'no-store': '' })
  expect(read(';;no-cache;;')).toEqual({ 'no-cache': '' })
})

/** A class of characters, repeated, from the beginning of a text to its end: read once, whatever it is. */
const WHOLE = /^\^(?:\[(?:[^\]\\]|\\.)*\]|\\[dwsDWS])[*+]\$$/

/** Something else repeated without end. */
const UNBOUNDED = /(?:[*+]|\{\d+,\})(?![^[]*\])/

/** Over the options of a developer, or one answer of Redis, and linear: what they begin with stands at few places. */
const BY_DEVELOPERS = new Set(['/^run_id:(\\w+)/m', '/\\bdb=(\\d+)/', '/^\\S+:\\d{1,5}$/'])

describe('the sources', () => {
  const folder = new URL('../src/', import.meta.url)
  const found = readdirSync(folder).flatMap((file) => {
    const source = ts.createSourceFile(
      file,
      readFileSync(new URL(file, folder), 'utf8'),
      ts.ScriptTarget.Latest,
    )
    const patterns: { file: string; text: string }[] = []
    const walk = (node: ts.Node): void => {
      if (ts.isRegularExpressionLiteral(node)) patterns.push({ file, text: node.text })
      ts.forEachChild(node, walk)
    }
    walk(source)
    return patterns
  })

  it('S4 have regular expressions', () => expect(found.length).toBeGreaterThan(5))

  it.each(found)('S4 $file: $text repeats nothing without end, but one class from end to end', ({ text }) => {
    const pattern = text.slice(1, text.lastIndexOf('/'))
    expect(BY_DEVELOPERS.has(text) || WHOLE.test(pattern) || !UNBOUNDED.test(pattern)).toBe(true)
  })
})
