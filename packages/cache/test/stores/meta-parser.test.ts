import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MetaParser, MetaProtocolError, type MetaReply } from '../../src/stores/memcached/meta-parser.js'

function parsed(...chunks: (string | Buffer)[]): MetaReply[] {
  const parser = new MetaParser()
  const replies: MetaReply[] = []
  for (const chunk of chunks) parser.push(Buffer.from(chunk), (reply) => replies.push(reply))
  return replies
}

const bytes = (length: number) =>
  fc.uint8Array({ minLength: 0, maxLength: length }).map((b) => Buffer.from(b))

describe('S9 the parser of the meta protocol', () => {
  it('gives the same replies, however the bytes are cut', () => {
    const reply = fc.oneof(
      fc
        .constantFrom('HD\r\n', 'HD c12 t-1 W\r\n', 'EN\r\n', 'NF\r\n', 'SERVER_ERROR out of memory\r\n')
        .map(Buffer.from),
      bytes(40).map((data) =>
        Buffer.concat([Buffer.from(`VA ${data.length} c7 t30\r\n`), data, Buffer.from('\r\n')]),
      ),
    )
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 8 }), fc.array(fc.nat(400)), (replies, cuts) => {
        const whole = Buffer.concat(replies)
        const places = [0, ...cuts.filter((at) => at < whole.length).sort((a, b) => a - b), whole.length]
        const chunks = places.slice(1).map((end, i) => whole.subarray(places[i], end))
        expect(parsed(...chunks)).toEqual(parsed(whole))
        expect(parsed(whole)).toHaveLength(replies.length)
      }),
    )
  })

  it.each([
    ['a size that is no number', 'VA x\r\n'],
    ['a size below 0', 'VA -9\r\n'],
    ['a size with a fraction', 'VA 1.5\r\n'],
    ['a size in hexadecimal', 'VA 0x10\r\n'],
    ['a size with an exponent', 'VA 1e3\r\n'],
    ['no size', 'VA\r\n'],
    ['an empty size', 'VA  3\r\nabc\r\n'],
    ['a size of gigabytes', 'VA 999999999\r\n'],
    ['a size beyond all numbers', `VA ${'9'.repeat(400)}\r\n`],
    ['a value that is longer than its size', 'VA 3\r\nabcd\r\n'],
    ['an unknown code', 'XX\r\n'],
    ['an empty line', '\r\n'],
    ['the text protocol', 'VALUE k 0 1\r\na\r\nEND\r\n'],
    ['another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['a line without end', 'H'.repeat(3_000)],
    ['a long line', `HD ${'c'.repeat(3_000)}\r\n`],
  ])('refuses %s', (_title, text) => {
    expect(() => parsed(text)).toThrow(MetaProtocolError)
    expect(() => parsed(...text)).toThrow(MetaProtocolError)
  })

  it('ends, and gives nothing but replies, whatever the bytes', () => {
    const word = fc.constantFrom('VA', 'HD', '5', '-1', ' ', '\r\n', '\r', '\n', 'c1', 'x', '\0')
    const noise = fc.oneof(
      bytes(60),
      fc.array(word).map((words) => Buffer.from(words.join(''))),
    )
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 6 }), (chunks) => {
        try {
          for (const { data } of parsed(...chunks)) expect(data?.length ?? 0).toBeLessThan(400)
        } catch (error) {
          expect(error).toBeInstanceOf(MetaProtocolError)
        }
      }),
      { numRuns: 3_000 },
    )
  })

  it.each([
    ['a value in chunks of one byte', (n: number) => `VA ${n}\r\n${'v'.repeat(n)}\r\n`],
    ['replies in chunks of one byte', (n: number) => 'HD c1\r\n'.repeat(n / 7)],
  ])('S4 looks at each byte a constant number of times: %s', (_title, text) => {
    const work = (length: number) => {
      let copied = 0
      const { concat } = Buffer
      Buffer.concat = (list, total) => {
        const joined = Reflect.apply(concat, Buffer, [list, total]) as Buffer<ArrayBuffer>
        copied += joined.length
        return joined
      }
      try {
        parsed(...text(length))
      } finally {
        Buffer.concat = concat
      }
      return copied
    }
    expect(work(70_000)).toBeLessThanOrEqual(2.2 * work(35_000))
  })
})
