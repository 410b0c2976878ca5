import type { IncomingMessage } from 'node:http'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ClientAddress, type Trust } from '../../src/http/address.js'

function keyOf(socket: string | undefined, forwarded?: string, trust: Trust = 0, prefix = 64) {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  return new ClientAddress(trust, prefix).of({
    socket: { remoteAddress: socket },
    headers,
  } as IncomingMessage)
}

afterEach(() => vi.restoreAllMocks())

describe('the key of a client', () => {
  it('L1: is the /64 of an IPv6 client, or another prefix', () => {
    expect(keyOf('2001:db8:1:2::1')).toBe(keyOf('2001:db8:1:2:ffff::9'))
    expect(keyOf('2001:db8:1:2::1')).not.toBe(keyOf('2001:db8:1:3::1'))
    expect(keyOf('2001:db8:1:2::1', undefined, 0, 48)).toBe(keyOf('2001:db8:1:3::1', undefined, 0, 48))
    expect(keyOf('2001:db8:1:2::1', undefined, 0, 128)).not.toBe(keyOf('2001:db8:1:2::2', undefined, 0, 128))
    expect(keyOf('2001:db8:1:2ff::1', undefined, 0, 56)).toBe(keyOf('2001:db8:1:200::1', undefined, 0, 56))
  })

  it('L1: is kept with the connection, for each length of the prefix', () => {
    const socket = { remoteAddress: '2001:db8:1:2::1' }
    const request = { socket, headers: {} } as IncomingMessage
    const [long, short] = [new ClientAddress(0, 64), new ClientAddress(0, 48)]
    const first = [long.of(request), short.of(request)]
    expect(first).toEqual([keyOf(socket.remoteAddress), keyOf(socket.remoteAddress, undefined, 0, 48)])
    expect([long.of(request), short.of(request)]).toEqual(first)
  })

  it('L2: is the plain IPv4 for a mapped one in every notation, and only for that', () => {
    for (const mapped of ['::ffff:1.2.3.4', '::ffff:102:304', '0:0:0:0:0:ffff:1.2.3.4', '::FFFF:0102:0304']) {
      expect(keyOf(mapped)).toBe('1.2.3.4')
    }
    expect(keyOf('::ffff:1.2.3.5')).toBe('1.2.3.5')
    expect(keyOf('2001:db8::5:1.2.3.4')).toBe(keyOf('2001:db8::1'))
  })

  it('L3: is the client behind NAT64', () => {
    expect(keyOf('64:ff9b::8.8.8.8')).toBe('8.8.8.8')
    expect(keyOf('64:ff9b::808:808')).toBe('8.8.8.8')
    expect(keyOf('64:ff9b::9.9.9.9')).toBe('9.9.9.9')
  })

  it('L4: takes nothing from X-Forwarded-For without trust, and warns once', () => {
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const address = new ClientAddress(0, 64)
    for (const forged of ['6.6.6.1', '6.6.6.2', '6.6.6.3']) {
      const req = { socket: { remoteAddress: '9.9.9.9' }, headers: { 'x-forwarded-for': forged } }
      expect(address.of(req as unknown as IncomingMessage)).toBe('9.9.9.9')
    }
    expect(warning).toHaveBeenCalledTimes(1)
    expect(warning).toHaveBeenCalledWith(expect.stringContaining('"trust"'), { code: 'SPILLWAY_FORWARDED' })
  })

  it('L4: with n trusted hops takes the n-th from the right', () => {
    expect(keyOf('10.0.0.1', '6.6.6.1, 9.9.9.9', 1)).toBe('9.9.9.9')
    expect(keyOf('10.0.0.1', '6.6.6.2, 9.9.9.9', 1)).toBe('9.9.9.9')
    expect(keyOf('10.0.0.1', '6.6.6.1, 9.9.9.9, 10.0.0.2', 2)).toBe('9.9.9.9')
    expect(keyOf('10.0.0.1', '9.9.9.9', 3)).toBe('9.9.9.9')
    expect(keyOf('10.0.0.1', undefined, 1)).toBe('10.0.0.1')
    expect(keyOf('10.0.0.1', '', 1)).toBe('10.0.0.1')
  })

  it('L4: with trusted subnets takes the first from the right that is in none', () => {
    const trust = ['10.0.0.0/8', '2001:db8:ffff::/48']
    expect(keyOf('10.0.0.1', '6.6.6.1, 9.9.9.9, 10.3.2.1', trust)).toBe('9.9.9.9')
    expect(keyOf('::ffff:10.0.0.1', '9.9.9.9', trust)).toBe('9.9.9.9')
    expect(keyOf('2001:db8:ffff::1', '[2001:db8::7]:443, 10.0.0.2', trust)).toBe(keyOf('2001:db8::1'))
    expect(keyOf('8.8.8.8', '9.9.9.9', trust)).toBe('8.8.8.8')
    expect(keyOf('10.0.0.1', '10.0.0.3, 10.0.0.2', trust)).toBe('10.0.0.3')
    expect(keyOf('10.0.0.1', '9.9.9.9, unknown', trust)).toBe('10.0.0.1')
  })

  it('L5: has no port, brackets or zone', () => {
    expect(keyOf('10.0.0.1', '6.6.6.6:1234', 1)).toBe(keyOf('10.0.0.1', '6.6.6.6:5678', 1))
    expect(keyOf('10.0.0.1', '[2001:db8::1]:443', 1)).toBe(keyOf('2001:db8::1'))
    expect(keyOf('fe80::1%eth0')).toBe(keyOf('fe80::1%eth1'))
  })

  it('is missing where there is no address', () => {
    expect(keyOf(undefined)).toBeUndefined()
  })

  it('refuses a subnet that is none', () => {
    for (const subnet of ['10.0.0.0/33', '10.0.0/8', 'x', '::/129', '10.0.0.0/8/8', '10.0.0.0/-1']) {
      expect(() => new ClientAddress([subnet], 64), subnet).toThrow(
        expect.objectContaining({ code: 'ERR_LIMITER_OPTION' }),
      )
    }
  })

  it('L53 refuses an IPv6 notation of an IPv4 subnet that would hold all of IPv4', () => {
    for (const subnet of ['::ffff:10.0.0.0/8', '::ffff:a00:0/95', '64:ff9b::a00:0/32', '::ffff:0:0/0']) {
      expect(() => new ClientAddress([subnet], 64), subnet).toThrow(
        expect.objectContaining({ code: 'ERR_LIMITER_OPTION' }),
      )
    }
    expect(keyOf('10.0.0.1', '9.9.9.9', ['::ffff:10.0.0.0/104'])).toBe('9.9.9.9')
    expect(keyOf('11.0.0.1', '9.9.9.9', ['::ffff:10.0.0.0/104'])).toBe('11.0.0.1')
  })

  it('does not depend on the notation of the same address', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const shouting = address.toUpperCase()
        expect(keyOf(shouting)).toBe(keyOf(address))
        expect(keyOf('10.0.0.1', `[${address}]:80`, 1)).toBe(keyOf(address))
      }),
    )
  })

  it('is some text for whatever stands in X-Forwarded-For', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom<Trust>(1, 2, ['10.0.0.0/8']), (forwarded, trust) => {
        expect(keyOf('10.0.0.1', forwarded, trust)).toEqual(expect.any(String))
      }),
    )
  })
})
