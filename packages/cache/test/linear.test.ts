import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { workOf } from '@spillway/kit/testing'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { Bus } from '../src/coherence/bus.js'
import { decode, RICH_CODEC } from '../src/entry/codec.js'
import { readFrame } from '../src/entry/frame.js'
import { alsoChanged } from '../src/http/also-changed.js'
import { directives } from '../src/http/cache-control.js'
import { clientHasIt } from '../src/http/conditional.js'
import { type Exchange, resourceOf, variantOf } from '../src/http/http-lookup.js'
import { headersGiven, members } from '../src/http/http-message.js'
import { credentialsOf, storing, wishesOf } from '../src/http/http-policy.js'
import { sentHead } from '../src/http/sent-head.js'
import { unpackRecord } from '../src/http/stored-response.js'
import { encodeKey, storeKey } from '../src/key.js'
import { MetaParser } from '../src/stores/memcached/meta-parser.js'
import { areBulks, frameOf } from '../src/stores/redis/redis-reads.js'

/**
 * What reads from a client, a store or a peer does so in linear time. Each parser is given texts of the kinds that make
 * others slow, in one length and in twice that length: the work may double, with a tenth for what does not grow evenly.
 */

const SIZE = 20_000

type Text = (size: number) => string

/** A text of this size between a beginning and an end. */
const filled =
  (piece: string, before = '', after = ''): Text =>
  (size) =>
    before + piece.repeat(Math.ceil(size / piece.length)) + after

const HOSTILE: Readonly<Record<string, Text>> = {
  blanks: filled(' ', 'a', 'b'),
  'tabs and blanks': filled('\t ', 'a', 'b'),
  'blanks before a comma': filled(' ', 'a', ',b'),
  commas: filled(','),
  'commas and blanks': filled(' , '),
  'quotation marks': filled('"'),
  'an open quotation mark': filled('x', 'a="'),
  'open quotation marks': filled('a="'),
  'escaped quotation marks': filled('a="\\"', 'a="'),
  backslashes: filled('\\', 'a="'),
  'equals signs': filled('a= '),
  'names without a value': filled('a '),
  semicolons: filled(';'),
  'semicolons and blanks': filled(' ; '),
  weights: filled(';q=0.0'),
  'a long weight': filled('0', 'gzip;q=0.', 'x'),
  digits: filled('9', 'max-age='),
  tags: filled('W/"a", '),
  'open tags': filled('W/"a, '),
  brackets: filled('['),
  'one word': filled('x'),
  words: (size) => Array.from({ length: size / 8 }, (_, i) => `w${i}`.padEnd(7, 'x')).join(','),
  lines: filled('a:b\r\n'),
  'replies of Memcached': filled('HD c1\r\n'),
  'half surrogate pairs': filled('\ud800'),
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
  'a message of the bus': (text) => [
    new Bus('me').read(text),
    new Bus('me').read(JSON.stringify(['you', 'keys', ...text.split(',')])),
  ],
  'a key for a store': (text) => storeKey(text, 512),
  'a stored response': (text) => {
    const bytes = Buffer.from(`\0\0\0\0${text}`)
    bytes.writeUInt32BE(bytes.length - 4, 0)
    return unpackRecord(bytes)
  },
  'a frame of a store': (text) => {
    const stamps = Buffer.from(JSON.stringify(text.split(',')))
    const payload = Buffer.from(text)
    const head = Buffer.alloc(56)
    head.set([0xc5, 2])
    head.writeUInt32LE(stamps.length, 48)
    head.writeUInt32LE(payload.length, 52)
    return attempt(() => readFrame(Buffer.concat([head, stamps, payload]), 10 * SIZE))
  },
  'bytes that are no frame': (text) => attempt(() => readFrame(Buffer.from(text), 10 * SIZE)),
  'a rich value of a store': (text) => [
    attempt(() => decode(RICH_CODEC, Buffer.from(text))),
    attempt(() => decode(RICH_CODEC, Buffer.from(JSON.stringify([['Buffer', 1], [2], text])))),
    decode(
      RICH_CODEC,
      Buffer.from(JSON.stringify([text.split(',').map((_, i) => i + 1), ...text.split(',')])),
    ),
  ],
  'a reply of Memcached': (text) => attempt(() => new MetaParser().push(Buffer.from(text), () => {})),
  'a reply of Memcached in chunks': (text) => {
    const parser = new MetaParser()
    const bytes = Buffer.from(`VA ${text.length} c1\r\n${text}\r\n`, 'latin1')
    for (let at = 0; at < bytes.length; at += 100) parser.push(bytes.subarray(at, at + 100), () => {})
  },
  'a reply of Redis': (text) => {
    const values = text.split(',').map((item) => Buffer.from(item))
    return [frameOf(Buffer.from(`\x1e${text}`)), areBulks(values, values.length)]
  },
  'a head that was sent': (text) =>
    sentHead({ _header: `HTTP/1.1 200 OK\r\n${text}\r\n\r\n` } as unknown as ServerResponse),
  'headers given to writeHead': (text) =>
    headersGiven([200, text.split(',').flatMap((item) => [item, item])]),
  'the places that a response names': (text) =>
    alsoChanged({ req: requestOf({ host: 'a' }), scheme: 'http', url: '/' } as unknown as Exchange, {
      status: 200,
      headers: { location: text, 'content-location': text },
    }),
  'a key of a user': (text) => [encodeKey(`\u0001${text}`), encodeKey(text.split(','))],
}

function attempt(work: () => unknown): unknown {
  try {
    return work()
  } catch {
    return undefined
  }
}

/** How the work grows with texts of twice the length: all of a list, since one that costs too much outweighs the others. */
async function growth(parse: (text: string) => unknown, texts: readonly Text[]): Promise<number> {
  const work = (size: number) => () => texts.map((text) => parse(text(size)))
  work(SIZE)() // what only the first call has to do
  const once = await workOf(work(SIZE))
  return (await workOf(work(2 * SIZE))) / once
}

describe.each(Object.entries(PARSERS))('%s', (_name, parse) => {
  it('S4 costs in proportion to its length', async () => {
    expect(await growth(parse, Object.values(HOSTILE))).toBeLessThanOrEqual(2.2)
  })
})

describe('the count of work', () => {
  it('S4 sees a loop within a loop', async () => {
    const pairs = (text: string) => {
      let same = 0
      for (const a of text.slice(0, text.length / 50)) {
        for (const b of text.slice(0, text.length / 50)) if (a === b) same++
      }
      return same
    }
    expect(await growth(pairs, Object.values(HOSTILE))).toBeGreaterThan(3)
  })

  it('S4 sees a built-in search within a loop', async () => {
    const search = (text: string) => {
      let found = 0
      for (let at = 0; at < text.length; at += 100) if (text.indexOf('\u0001') === -1) found++
      return found
    }
    expect(await growth(search, Object.values(HOSTILE))).toBeGreaterThan(3)
  })
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

/** Over the options of a developer, and linear. */
const BY_DEVELOPERS = new Set(['/^\\S+:\\d{1,5}$/'])

describe('the sources', () => {
  const folder = new URL('../src/', import.meta.url)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const found = files
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
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
