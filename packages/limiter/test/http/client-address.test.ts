import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import express from 'express'
import Fastify from 'fastify'
import Koa from 'koa'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { limitConcurrency, clientAddress as ofExpress, rateLimit } from '../../src/express.js'
import { clientAddress as ofFastify } from '../../src/fastify.js'
import { clientAddress } from '../../src/index.js'
import { clientAddress as ofKoa } from '../../src/koa.js'
import { collect } from '../collect.js'

function request(remoteAddress: string | undefined, forwarded?: string): IncomingMessage {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  return { socket: { remoteAddress }, headers } as unknown as IncomingMessage
}

describe('clientAddress', () => {
  it('L53 makes one client of a /64, and believes nothing that the client writes', () => {
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const addresses = ['2001:db8:1:2::1', '2001:db8:1:2::2', '2001:db8:1:2:ffff::3', '2001:DB8:1:2:0:0:0:4']
    expect(new Set(addresses.map((address) => clientAddress(request(address)))).size).toBe(1)
    expect(clientAddress(request('::ffff:1.2.3.4'))).toBe('1.2.3.4')
    expect(clientAddress(request('9.9.9.9', '6.6.6.6'))).toBe('9.9.9.9')
    expect(clientAddress(request(undefined))).toBeUndefined()
  })

  it('L53 takes trust and prefix as rateLimit does, and refuses what is neither', () => {
    const { headers, socket } = request('10.0.0.1', '6.6.6.6, 2001:db8:1:2::1')
    const req = { headers, socket } as IncomingMessage
    expect(clientAddress(req, { trust: 1 })).toBe(clientAddress(request('2001:db8:1:2::9')))
    expect(clientAddress(req, { trust: ['10.0.0.0/8'], ipv6Prefix: 48 })).toBe(
      clientAddress(request('2001:db8:1:ffff::1'), { ipv6Prefix: 48 }),
    )
    expect(() => clientAddress(req, { trust: -1 })).toThrow(
      expect.objectContaining({ code: 'ERR_LIMITER_OPTION' }),
    )
    expect(() => clientAddress(req, { trusts: 1 } as never)).toThrow(/did you mean "trust"/)
    expect(() => clientAddress(req, { trust: 1, ipv6Prefix: 16 })).toThrow(/"ipv6Prefix"/)
  })

  it('L53 refuses wrong options whatever was given before', () => {
    const req = request('10.0.0.1', '6.6.6.6')
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    for (const trust of [0, 1, ['10.0.0.0/8']]) {
      clientAddress(req, { trust })
      clientAddress(req, {})
      for (const wrong of [
        () => true,
        Symbol('s'),
        1n,
        Number.NaN,
        true,
        [['10.0.0.0/8']],
        ['10.0.0.0/8,'],
        '1',
      ]) {
        const call = () => clientAddress(req, { trust: wrong } as never)
        expect(call, String(wrong)).toThrow(expect.objectContaining({ code: 'ERR_LIMITER_OPTION' }))
      }
      expect(() => clientAddress(req, { trusts: undefined, trusted: () => 1 } as never)).toThrow(
        /trusted|trusts/,
      )
    }
  })

  it('L53 is there for each framework', async () => {
    const koa = new Koa()
    koa.use((ctx) => {
      ctx.body = ofKoa(ctx, { trust: 1 })
    })
    const fastify = Fastify()
    fastify.get('/', async (request) => ofFastify(request, { trust: 1 }))
    onTestFinished(() => fastify.close())
    await fastify.ready()
    const app = express().get('/', (req, res) => void res.send(ofExpress(req, { trust: 1 })))
    for (const handler of [app, koa.callback(), fastify.routing.bind(fastify)]) {
      const server = createServer(handler as never).listen(0, '127.0.0.1')
      await once(server, 'listening')
      onTestFinished(() => void server.close())
      const { port } = server.address() as AddressInfo
      const response = await fetch(`http://127.0.0.1:${port}`, {
        headers: { 'x-forwarded-for': '1.1.1.1, 8.8.4.4' },
      })
      expect(await response.text()).toBe('8.8.4.4')
    }
  })
})

describe('a key function', () => {
  async function calling(key: () => string, options: object = {}): Promise<unknown[]> {
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const app = express()
    app.use(rateLimit({ limit: 9, window: '1h', key, ...options }))
    app.get('/', (_, res) => void res.send('ok'))
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    for (let i = 0; i < 3; i++) expect((await fetch(`http://127.0.0.1:${port}`)).status).toBe(200)
    const codes = warning.mock.calls.map(([, options]) => (options as { code: string }).code)
    warning.mockRestore()
    return codes
  }

  it.each(['2001:db8::1', '::1', 'fe80::1%eth0', '2001:db8:1:2:3:4:5:6', '2001:DB8::ffff'])(
    'L53 that returns %s is warned of once',
    async (address) => {
      expect(await calling(() => address)).toEqual(['SPILLWAY_IPV6_KEY'])
    },
  )

  it.each([
    ['a user', 'user:17'],
    ['an IPv4 address', '1.2.3.4'],
    ['an IPv4 address in IPv6 notation', '::ffff:1.2.3.4'],
    ['the network of an IPv6 client', '2001:db8:1:2:0:0:0:0/64'],
    ['a text with a colon', 'a:b'],
    ['a long text', 'x'.repeat(5_000)],
    ['many colons', ':'.repeat(300)],
  ])('L53 that returns %s is not warned of', async (_, key) => {
    expect(await calling(() => key)).toEqual([])
  })

  it('L53 that returns an IPv6 address is warned of once in limitConcurrency, too', () => {
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const gate = limitConcurrency({ limit: 9, key: (req) => req.socket.remoteAddress })
    const res = { once() {}, destroyed: false, writableFinished: false }
    for (const address of ['2001:db8::1', '2001:db8::2', '1.2.3.4']) {
      gate(request(address) as never, { ...res } as never, () => {})
    }
    expect(warning.mock.calls.map(([, options]) => (options as { code: string }).code)).toEqual([
      'SPILLWAY_IPV6_KEY',
    ])
    warning.mockRestore()
  })

  it('S15 that returns a part of a long header does not keep the whole header alive', async () => {
    const middleware = rateLimit({
      limit: 9,
      window: '1h',
      key: (req) => req.headers.authorization?.slice(7, 47),
    })
    const call = (authorization: string) => {
      const req = { ...request('1.1.1.1'), headers: { authorization } }
      middleware(req as never, { setHeader() {} } as never, () => {})
    }
    await setImmediate()
    call('Bearer first')
    collect()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 2_000; i++) {
      // As it comes from the parser: one text of its own.
      call(Buffer.from(`Bearer ${String(i).padStart(40, '0')}${'x'.repeat(14_000)}`).toString('latin1'))
    }
    collect()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(2_000 * 1_000)
  })

  it('L53 is not warned of where the options say so', async () => {
    expect(await calling(() => '2001:db8::1', { validate: false })).toEqual([])
    expect(await calling(() => '2001:db8::1', { validate: { keyGeneratorIpFallback: false } })).toEqual([])
    expect(await calling(() => '2001:db8::1', { validate: { xForwardedForHeader: false } })).toHaveLength(1)
  })
})

it('S15 the key of an address does not keep the whole X-Forwarded-For alive', () => {
  const kept: unknown[] = []
  collect()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 2_000; i++) {
    const address = `100.100.${100 + (i >> 7)}.${100 + (i & 127)}`
    // As it comes from the parser: one text of its own.
    const field = Buffer.from(`${'6.6.6.6,'.repeat(1_800)}${address}`).toString('latin1')
    kept.push(clientAddress(request('10.0.0.1', field), { trust: 1 }))
  }
  collect()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(2_000 * 1_000)
  expect(new Set(kept).size).toBe(2_000)
})
