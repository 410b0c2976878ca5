import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { decode, RICH_CODEC } from '../../src/entry/codec.js'
import { variantOf } from '../../src/http/http-lookup.js'
import { headersAsText, headersGiven, line } from '../../src/http/http-message.js'
import { credentialsOf, storing } from '../../src/http/http-policy.js'
import { sentHead } from '../../src/http/sent-head.js'

/** Names from a client, a handler or a store that every plain object has a member of. */
const INHERITED = ['constructor', 'toString', 'valueOf', 'hasOwnProperty', '__proto__', '__defineGetter__']

const asker = { credentials: 'none', partitioned: false } as const
const policy = { ttl: 1, swr: false, staleIfError: false } as const

describe.each(INHERITED)('S4 a header named %s', (name) => {
  it('is absent from a request that does not have it', () => {
    expect(line({}, name)).toBeUndefined()
    expect(variantOf({}, [name])).toBe(variantOf(Object.create(null), [name]))
    expect(credentialsOf({ headers: {}, socket: {} } as IncomingMessage, [name])).toBe('none')
  })

  it('is read from a response like any other', () => {
    const wanted = name.toLowerCase()
    expect(line(headersGiven([200, [name, 'a', name, 'b']]), wanted)).toBe('a, b')
    expect(line(headersAsText(JSON.parse(`{"${name}":"a"}`)), wanted)).toBe('a')
    const res = { _header: `HTTP/1.1 200 OK\r\n${name}: a\r\n${name}: b\r\n\r\n` }
    expect(line(sentHead(res as unknown as ServerResponse)!.headers, wanted)).toBe('a, b')
  })

  it('is no reviver of a stored value', () => {
    expect(() => decode(RICH_CODEC, Buffer.from(`[["${name}",1],[]]`))).toThrow(/unknown type/i)
  })
})

describe('Vary', () => {
  it.each(['constructor', 'toString'])('S4 tells variants apart by a header named %s', (name) => {
    expect(variantOf({ [name]: 'a' }, [name])).not.toBe(variantOf({ [name]: 'b' }, [name]))
    expect(storing(asker, { status: 200, headers: { vary: name } }, policy)).toMatchObject({ ttl: 1 })
  })

  it('S4 by __proto__, which Node does not hand out, is refused', () => {
    expect(storing(asker, { status: 200, headers: { vary: 'Accept, __proto__' } }, policy)).toBe('vary')
  })
})
