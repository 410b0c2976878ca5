import type { IncomingHttpHeaders } from 'node:http'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { defineOptions, OPERATOR_CHECKS, OperatorGuard, type OperatorOptions } from '../src/index.js'

const resolve = defineOptions('kit', 'route', OPERATOR_CHECKS, {})
const TOKEN = 'a-token-of-24-characters'

function guarded(options: OperatorOptions<unknown> = {}) {
  resolve(options)
  const guard = new OperatorGuard(options, { owner: 'route', code: 'ERR_KIT_OPTION' })
  return async (headers: IncomingHttpHeaders = {}, remoteAddress: string | undefined = '127.0.0.1') => {
    const all = { host: 'localhost:3000', ...headers }
    return (await guard.refusal({ headers: all }, { headers: all, socket: { remoteAddress } })) === undefined
  }
}

const unaddressed = async (headers: IncomingHttpHeaders) =>
  (await new OperatorGuard({}, { owner: 'route', code: 'ERR_KIT_OPTION' }).refusal(
    {},
    { headers, socket: {} },
  )) === undefined

afterEach(() => vi.unstubAllEnvs())

describe('S12 OperatorGuard', () => {
  it.each(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])(
    'S12 lets this machine (%s) in',
    async (peer) => {
      for (const host of ['localhost', '127.0.0.1:9100', '[::1]:3000']) {
        expect(await guarded()({ host }, peer)).toBe(true)
      }
    },
  )

  it.each([
    '10.0.0.7',
    '203.0.113.9',
    '::ffff:10.0.0.7',
    'fe80::1',
    '127.0.0.1.example',
    '::ffff:203.0.113.9',
  ])('S12 lets no other (%s) in, whatever its headers say', async (peer) => {
    for (const headers of [{}, { 'x-forwarded-for': '127.0.0.1' }, { host: 'localhost' }]) {
      expect(await guarded()(headers, peer)).toBe(false)
    }
  })

  it('S12 lets nobody in whose address is not known: a Unix socket is a proxy’s', async () => {
    expect(await unaddressed({ host: 'localhost' })).toBe(false)
  })

  it.each([
    'forwarded',
    'via',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-real-ip',
    'cf-connecting-ip',
    'true-client-ip',
    'x-envoy-external-address',
  ])('S12 takes a request with %s for one that a proxy on this machine hands on', async (name) => {
    expect(await guarded()({ [name]: '127.0.0.1' })).toBe(false)
  })

  it('S12 takes a request over HTTP/1.0 for one of nginx with a bare proxy_pass, and refuses it without the token', async () => {
    const ask = (httpVersion: string, options: OperatorOptions<unknown> = {}) => {
      const headers = { host: '127.0.0.1:3000', authorization: `Bearer ${TOKEN}` }
      const guard = new OperatorGuard(options, { owner: 'route', code: 'ERR_KIT_OPTION' })
      return guard.refusal({}, { headers, httpVersion, socket: { remoteAddress: '127.0.0.1' } })
    }
    expect(await ask('1.0')).toBeDefined()
    expect(await ask('1.1')).toBeUndefined()
    expect(await ask('1.0', { token: TOKEN })).toBeUndefined()
    expect(await ask('1.0', { allow: 'anyone' })).toBeUndefined()
  })

  it.each([
    'shop.example',
    'localhost.example',
    '127.0.0.1.example:3000',
    'evil@localhost',
    '',
    'localhost:1:2',
  ])(
    'S12 refuses a host (%j) that is not this machine’s own name: a proxy’s, or a name made to resolve here',
    async (host) => {
      expect(await guarded()({ host })).toBe(false)
    },
  )

  it.each<[string, IncomingHttpHeaders]>([
    ['Sec-Fetch-Site: cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['Sec-Fetch-Site: same-site', { 'sec-fetch-site': 'same-site' }],
    ['an Origin of another site', { origin: 'https://evil.example' }],
    ['an Origin of another port', { origin: 'http://localhost:4000' }],
    ['Origin: null', { origin: 'null' }],
  ])('S12 refuses %s, however open the route is', async (_what, headers) => {
    const basic = Buffer.from(`admin:${TOKEN}`).toString('base64')
    expect(await guarded()(headers)).toBe(false)
    expect(await guarded({ allow: 'anyone' })(headers)).toBe(false)
    expect(await guarded({ allow: () => true })(headers)).toBe(false)
    expect(await guarded({ token: TOKEN })({ ...headers, authorization: `Basic ${basic}` })).toBe(false)
  })

  it('S12 lets the page’s own requests, and those without a page, in', async () => {
    expect(await guarded()({ 'sec-fetch-site': 'same-origin', origin: 'http://localhost:3000' })).toBe(true)
    expect(await guarded()({ 'sec-fetch-site': 'none' })).toBe(true)
  })

  it('S12 lets whoever shows the token in, from anywhere, and nobody else, this machine included', async () => {
    const ask = guarded({ token: TOKEN })
    const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
    for (const authorization of [`Bearer ${TOKEN}`, `bearer ${TOKEN}`, basic(`any:${TOKEN}`)]) {
      expect(await ask({ authorization, 'x-forwarded-for': '203.0.113.9' }, '10.0.0.7')).toBe(true)
    }
    for (const authorization of [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
      `Bearer ${TOKEN.toUpperCase()}`,
      `Digest ${TOKEN}`,
      basic(TOKEN.slice(2)),
      basic(`${TOKEN}:any`),
      `Bearer ${'x'.repeat(100_000)}`,
    ]) {
      expect(await ask(authorization === undefined ? {} : { authorization })).toBe(false)
    }
  })

  it('S12 says with a challenge that a token would help, and only then', async () => {
    const request = { headers: { host: 'localhost' }, socket: { remoteAddress: '10.0.0.7' } }
    const place = { owner: 'route', code: 'ERR_KIT_OPTION' }
    const { challenge } = (await new OperatorGuard({ token: TOKEN }, place).refusal({}, request))!
    expect(challenge).toMatch(/^Basic realm="/)
    expect(await new OperatorGuard({}, place).refusal({}, request)).toEqual({ challenge: undefined })
  })

  it('S12 takes the token from the environment, unless `allow` says who', async () => {
    vi.stubEnv('SPILLWAY_OPERATOR_TOKEN', TOKEN)
    expect(await guarded()()).toBe(false)
    expect(await guarded()({ authorization: `Bearer ${TOKEN}` }, '10.0.0.7')).toBe(true)
    expect(await guarded({ allow: 'local' })()).toBe(true)
    expect(await guarded({ allow: 'local' })({ authorization: `Bearer ${TOKEN}` }, '10.0.0.7')).toBe(false)
  })

  it('S12 lets in by `allow` whom it says true for, and fails closed', async () => {
    expect(await guarded({ allow: async () => true })({}, '10.0.0.7')).toBe(true)
    expect(await guarded({ allow: (() => 'yes') as never })()).toBe(false)
    await expect(guarded({ allow: () => Promise.reject(new Error('down')) })()).rejects.toThrow('down')
    expect(await guarded({ allow: 'anyone' })({}, '10.0.0.7')).toBe(true)
  })

  it.each<[OperatorOptions<unknown>]>([
    [{ token: 'short' }],
    [{ token: 'with a space in it, long' }],
    [{ token: 17 as never }],
    [{ allow: 'everyone' as never }],
    [{ allow: 'anyone', token: TOKEN }],
  ])('S12 refuses %j', (options) => {
    expect(() => guarded(options)).toThrow(expect.objectContaining({ code: 'ERR_KIT_OPTION' }))
  })

  it('S12 refuses a weak token of the environment, without showing it', () => {
    vi.stubEnv('SPILLWAY_OPERATOR_TOKEN', 'weak')
    expect(() => guarded()).toThrow(
      expect.objectContaining({ code: 'ERR_KIT_OPTION', message: expect.not.stringContaining('weak') }),
    )
  })
})
